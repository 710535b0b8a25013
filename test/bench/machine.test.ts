/** What is read of the machine, and of the command line. */

import { describe, expect, test } from "bun:test";
import { parseArguments } from "./arguments.ts";
import { fileSystemOf, timeFdatasyncs } from "./machine.ts";
import { parseRate } from "./peers/redis.ts";
import { parseProcessorMs, parseResidentBytes, processorMs, residentBytes } from "./processes.ts";

test("the file system of a directory is that of the nearest mount", () => {
  const mounts = "/dev/a / ext4 rw 0 0\nnone /tmp tmpfs rw 0 0\n/dev/b /tmp/x xfs rw 0 0\n";
  expect(fileSystemOf("/home/me", mounts)).toBe("ext4");
  expect(fileSystemOf("/tmp", mounts)).toBe("tmpfs");
  expect(fileSystemOf("/tmp/xy", mounts)).toBe("tmpfs");
  expect(fileSystemOf("/tmp/x/y", mounts)).toBe("xfs");
  expect(fileSystemOf("/tmp/x", `${mounts}/dev/c /tmp/x btrfs rw 0 0\n`)).toBe("btrfs");
});

test("syncs are timed in order of their length", () => {
  const times = timeFdatasyncs(20);
  expect(times).toHaveLength(20);
  expect(times.every((time, index) => time > 0 && (index === 0 || time >= times[index - 1]!))).toBe(
    true,
  );
});

test("a process has its time and its memory, whatever its name is", () => {
  const stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 12 34 0 0 20 0 1 0 5 6 7";
  expect(parseProcessorMs(stat)).toBe(460);
  expect(parseResidentBytes("Name:\tkv\nVmRSS:\t    2048 kB\nThreads:\t1\n")).toBe(2 ** 21);
  expect(() => parseResidentBytes("Name:\tkv\n")).toThrow();
  expect(processorMs(process.pid)).toBeGreaterThan(0);
  expect(residentBytes(process.pid)).toBeGreaterThan(2 ** 20);
});

test("the rate that redis-benchmark prints is found", () => {
  expect(parseRate('"test","rps","avg"\n"GET","370370.38","0.1"\n')).toBe(370_370.38);
  expect(() => parseRate("Could not connect")).toThrow("Could not connect");
});

describe("the command line", () => {
  test("has ten rounds of everything by default, and three in a hurry", () => {
    expect(parseArguments([])).toMatchObject({ rounds: 10, isQuick: false, names: [] });
    expect(parseArguments(["--quick"])).toMatchObject({ rounds: 3, isQuick: true });
  });

  test("takes names, rounds and files in any order", () => {
    const words = ["a", "--json", "x.json", "b", "--rounds", "4", "--svg", "x.svg"];
    expect(parseArguments(words)).toMatchObject({
      names: ["a", "b"],
      rounds: 4,
      json: "x.json",
      svg: "x.svg",
    });
  });

  test.each(["--rounds 0", "--rounds two", "--json", "--fast"])("refuses %s", (words) => {
    expect(() => parseArguments(words.split(" "))).toThrow();
  });
});
