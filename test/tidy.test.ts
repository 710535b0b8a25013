/** The tree is tidy, and each rule of tidiness catches a fault that is planted for it. */

import { describe, expect, test } from "bun:test";
import manifest from "../package.json" with { type: "json" };
import { projectFiles } from "./support/project-files.ts";
import {
  cycleFaults,
  floorFaults,
  habitFaults,
  leftoverFaults,
  linkFaults,
  packageFaults,
  pinFaults,
  shapeFaults,
  type ProjectFile,
} from "./support/tidy.ts";

const files = projectFiles();
const bunVersion = manifest.packageManager.replace("bun@", "");

describe("the tree", () => {
  test("has the files that the rules are about", () => {
    const paths = files.map(({ path }) => path);
    expect(paths).toContain("src/kv.ts");
    expect(paths).toContain("bun.lock");
    expect(paths).toContain("test/tidy.test.ts");
  });

  test("imports only from lower floors and from the own folder", () => {
    expect(floorFaults(files)).toEqual([]);
  });

  test("has no cycle of imports", () => {
    expect(cycleFaults(files)).toEqual([]);
  });

  test("has nothing left for later and no test left out", () => {
    expect(leftoverFaults(files)).toEqual([]);
  });

  test("has short files with a header and lines that fit", () => {
    expect(shapeFaults(files)).toEqual([]);
  });

  test("ends the process in one place and exports by name", () => {
    expect(habitFaults(files)).toEqual([]);
  });

  test("uses two packages at run time, both in the command line only", () => {
    expect(Object.keys(manifest.dependencies)).toEqual(["citty", "consola"]);
    expect(packageFaults(files)).toEqual([]);
  });

  test("has no link that leads nowhere", () => {
    expect(linkFaults(files)).toEqual([]);
  });

  test("pins no registry, and one version of Bun and of each package", () => {
    expect(pinFaults(files, bunVersion)).toEqual([]);
    const versions = Object.values({ ...manifest.dependencies, ...manifest.devDependencies });
    expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
    expect(manifest.devDependencies["bun-types"]).toBe(bunVersion);
  });
});

describe("a planted fault is caught:", () => {
  test("an import from a higher floor, a neighbour or from outside", () => {
    const text = [
      'import type { Store } from "../kv.ts";',
      'import { hub } from "../watch/hub.ts";',
      "import {",
      "  serve,",
      '} from "../http/server.ts";',
      'import { helper } from "../../test/support/rounds.ts";',
      'const lazy = await import("../main.ts");',
    ];
    expect(floorFaults([file("src/log/engine.ts", ...text)])).toEqual([
      "src/log/engine.ts:2 imports src/watch/hub.ts, which is not on a lower floor",
      "src/log/engine.ts:5 imports src/http/server.ts, which is not on a lower floor",
      "src/log/engine.ts:6 test/support/rounds.ts stands on no floor",
      "src/log/engine.ts:7 imports src/main.ts, which is not on a lower floor",
    ]);
    expect(floorFaults([file("src/kv.ts", 'export { x } from "./http/x.ts";')])).toHaveLength(1);
    expect(floorFaults([file("src/new/a.ts", 'import "./b.ts";')])).toHaveLength(1);
    expect(floorFaults([file("src/cli/get.ts", 'import "../client/index.ts";')])).toEqual([]);
    expect(floorFaults([file("src/main.ts", 'import "./cli/get.ts";')])).toEqual([]);
  });

  test("a cycle, also one of types and one that begins behind the first file", () => {
    const faults = cycleFaults([
      file("src/a.ts", 'import "./b.ts";'),
      file("src/b.ts", 'import type { C } from "./log/c.ts";'),
      file("src/log/c.ts", 'import "../b.ts";'),
    ]);
    expect(faults).toEqual(["src/b.ts:1 cycle src/b.ts -> src/log/c.ts -> src/b.ts"]);
  });

  test("a mark for later, a test left out or run alone", () => {
    const [mark, alone] = [["TO", "DO"].join(""), ["test.concurrent", "only"].join(".")];
    const hidden = ["Bun", "which"].join(".");
    const faults = leftoverFaults([
      file("README.md", "text", `a ${mark} here`),
      file(
        "test/a.test.ts",
        `${alone}("a", run);`,
        "reader.skip(3);",
        `if (${hidden}("x")) run();`,
      ),
    ]);
    expect(faults).toEqual([
      `README.md:2 has ${mark}`,
      `test/a.test.ts:1 has ${alone}`,
      `test/a.test.ts:3 has ${hidden}`,
    ]);
  });

  test("a missing header, a bad name, too many lines, a line that is too wide", () => {
    const long = "a".repeat(101);
    expect(shapeFaults([file("src/badName.ts", "const x = 1;", "// Late.", long)])).toEqual([
      "src/badName.ts:1 has no header comment",
      "src/badName.ts:1 is not kebab-case",
      "src/badName.ts:3 has 101 columns; at most 100",
    ]);
    const lines = Array.from({ length: 400 }, () => "x");
    expect(shapeFaults([file("test/image.sh", "#!/bin/sh", "# Header.", ...lines)])).toEqual([
      "test/image.sh:1 has 402 lines; at most 400",
    ]);
    expect(shapeFaults([file("test/b.test.ts", "/** Header. */", long)])).toEqual([]);
    expect(shapeFaults([file("src/c.ts", "/** Header. */", `say("${long}");`)])).toEqual([]);
    expect(shapeFaults([file("src/c.ts", "/** Header. */", `// "${long}"`)])).toHaveLength(1);
  });

  test("an end of the process in the middle, an export without a name", () => {
    const text = ["/** Header. */", "process.exit(1);", "export default 3;"];
    expect(habitFaults([file("src/cli/get.ts", ...text)])).toHaveLength(2);
    expect(habitFaults([file("src/main.ts", "process.exit(1);")])).toEqual([]);
  });

  test("a package, or a platform where none may be used", () => {
    expect(faultsOfImport("src/http/server.ts", "hono")).toBe(1);
    expect(faultsOfImport("src/http/server.ts", "consola")).toBe(1);
    expect(faultsOfImport("src/cli/get.ts", "consola")).toBe(0);
    expect(faultsOfImport("src/log/disk.ts", "node:fs")).toBe(0);
    expect(faultsOfImport("src/log/lock.ts", "bun:sqlite")).toBe(0);
    expect(faultsOfImport("src/client/index.ts", "node:net")).toBe(1);
    expect(faultsOfImport("src/keys.ts", "bun")).toBe(1);
    expect(faultsOfImport("src/keys.ts", "./text")).toBe(1);
  });

  test("a link to no file or to no heading", () => {
    const faults = linkFaults([
      file("README.md", "[a](docs/http.md#the-start) [b](docs/gone.md)", "[c](docs/http.md#end)"),
      file("docs/http.md", "# The start", "[up](../README.md) [site](https://example.org)", "```"),
      file("docs/cli.md", "`[x](y)`", "```", "[x](y)", "```", "[d](../docs) [e](#gone)"),
    ]);
    expect(faults).toEqual([
      "README.md:1 links to docs/gone.md, which is not there",
      "README.md:2 links to docs/http.md#end, a heading that is not there",
      "docs/cli.md:5 links to #gone, a heading that is not there",
    ]);
  });

  test("an address in the lock, another version of Bun", () => {
    const lock = file("bun.lock", '"a": ["a@1.0.0", "", {}]', '["b@1", "https://r.example/b.tgz"]');
    const [other, same] = ["1.2.0", "1.4.5"];
    const docker = file("Dockerfile", `FROM oven/bun:${other} AS build`, `npx -y bun@${same} test`);
    expect(pinFaults([lock, docker], same!)).toEqual([
      "bun.lock:2 pins the address of a registry",
      `Dockerfile:1 says bun:${other}; this project is on ${same}`,
    ]);
  });
});

function file(path: string, ...lines: string[]): ProjectFile {
  return { path, text: lines.join("\n") };
}

function faultsOfImport(path: string, specifier: string): number {
  return packageFaults([file(path, `import { x } from "${specifier}";`)]).length;
}
