/**
 * What a tidy tree is, as functions from files to faults. Works on names and texts only, so that a fault
 * can be planted without touching the disk; which files there are is `project-files.ts`.
 */

import { dirname, join, normalize } from "node:path/posix";

/** A file of the project: its path from the top, with slashes, and its text. */
export interface ProjectFile {
  readonly path: string;
  readonly text: string;
}

/** One line: `path:line what is wrong`. */
export type Fault = string;

/** The floor of each folder of `src`; the files right in `src` are floor 0, the entry is above all. */
const FLOORS: Readonly<Record<string, number>> = {
  "src/log": 1,
  "src/watch": 1,
  "src/etcd": 1,
  "src/http": 2,
  "src/client": 2,
  "src/cli": 3,
};

const ENTRY = "src/main.ts";
const FILE_LINES_MAX = 400;
const LINE_COLUMNS_MAX = 100;
/** Code with a text that is longer than half a line: the formatter leaves it whole, so do we. */
const LONG_LITERAL = /^(?!\s*(?:\*|\/\*|\/\/|#)).*(["'`/]).{50,}\1/;

/** A file of `src` imports from lower floors and from its own folder, never from outside of `src`. */
export function floorFaults(files: readonly ProjectFile[]): Fault[] {
  const faults: Fault[] = [];
  for (const file of sources(files)) {
    for (const { specifier, line } of importsOf(file)) {
      if (!specifier.startsWith(".")) continue;
      const target = join(dirname(file.path), specifier);
      const [here, there] = [floorOf(file.path), floorOf(target)];
      if (here === undefined || there === undefined) {
        const stray = here === undefined ? file.path : target;
        faults.push(`${file.path}:${line} ${stray} stands on no floor`);
      } else if (there >= here && folderOf(target) !== folderOf(file.path)) {
        faults.push(`${file.path}:${line} imports ${target}, which is not on a lower floor`);
      }
    }
  }
  return faults;
}

/** No file imports itself by way of others; an import of types alone counts too. */
export function cycleFaults(files: readonly ProjectFile[]): Fault[] {
  const graph = new Map<string, string[]>();
  for (const file of files.filter(({ path }) => path.endsWith(".ts"))) {
    const relative = importsOf(file).filter(({ specifier }) => specifier.startsWith("."));
    graph.set(
      file.path,
      relative.map(({ specifier }) => join(dirname(file.path), specifier)),
    );
  }
  const faults: Fault[] = [];
  const done = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) {
      faults.push(`${path}:1 cycle ${[...trail.slice(at), path].join(" -> ")}`);
      return;
    }
    if (done.has(path)) return;
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) visit(path, []);
  return faults;
}

/**
 * Nothing is left for later, and no test is left out or run alone. Where a tool is missing, only
 * `needs.ts` leaves a test out, and says so.
 */
export function leftoverFaults(files: readonly ProjectFile[]): Fault[] {
  // The brackets keep this line from being a fault of its own.
  const marks = /\b(T[O]DO|F[I]XME|X[X]X|H[A]CK)\b/;
  const partial =
    /\b(?:test|it|describe)(?:\.\w+)*\.(?:only|skip|skipIf|todo|todoIf|failing|if)\b|\bBun\.which\b/;
  return files.flatMap((file) => {
    const whole = isTest(file) && file.path !== "test/support/needs.ts";
    return linesOf(file).flatMap((text, index) => {
      const found = marks.exec(text) ?? (whole ? partial.exec(text) : null);
      return found === null ? [] : [`${file.path}:${index + 1} has ${found[0]}`];
    });
  });
}

/** A code file begins with a comment, is kebab-case, and is neither too long nor too wide. */
export function shapeFaults(files: readonly ProjectFile[]): Fault[] {
  return files.filter(isCode).flatMap((file) => {
    const lines = linesOf(file);
    const faults: Fault[] = [];
    const first = lines[0]!.startsWith("#!") ? lines[1] : lines[0];
    if (!/^(\/\*\*|\/\/|#) ?\S*/.test(first ?? "")) {
      faults.push(`${file.path}:1 has no header comment`);
    }
    if (!/^[a-z0-9./-]+$/.test(file.path)) faults.push(`${file.path}:1 is not kebab-case`);
    if (lines.length > FILE_LINES_MAX) {
      faults.push(`${file.path}:1 has ${lines.length} lines; at most ${FILE_LINES_MAX}`);
    }
    lines.forEach((text, index) => {
      const columns = Array.from(text).length;
      if (columns > LINE_COLUMNS_MAX && !isTest(file) && !LONG_LITERAL.test(text)) {
        faults.push(
          `${file.path}:${index + 1} has ${columns} columns; at most ${LINE_COLUMNS_MAX}`,
        );
      }
    });
    return faults;
  });
}

/** Only the entry ends the process, and everything is exported by name. */
export function habitFaults(files: readonly ProjectFile[]): Fault[] {
  return sources(files).flatMap((file) =>
    linesOf(file).flatMap((text, index) => {
      const at = `${file.path}:${index + 1}`;
      const faults: Fault[] = [];
      if (file.path !== ENTRY && /\bprocess\.(exit|abort|reallyExit)\b/.test(text)) {
        faults.push(`${at} ends the process; only ${ENTRY} does`);
      }
      if (/^export default\b/.test(text)) faults.push(`${at} exports without a name`);
      return faults;
    }),
  );
}

/**
 * At run time there are the platform and two packages, which only the command line knows. The terms
 * and the client use nothing but what a browser has too.
 */
export function packageFaults(files: readonly ProjectFile[]): Fault[] {
  const faults: Fault[] = [];
  for (const file of sources(files)) {
    const floor = floorOf(file.path);
    const anywhere = floor === 0 || file.path.startsWith("src/client/");
    for (const { specifier, line } of importsOf(file)) {
      const at = `${file.path}:${line} imports ${specifier}`;
      if (specifier.startsWith(".")) {
        if (!/\.\w+$/.test(specifier)) faults.push(`${at} without its ending`);
      } else if (/^(node:.+|bun(:.+)?)$/.test(specifier)) {
        if (anywhere) faults.push(`${at}; only what every platform has may be used here`);
      } else if (!/^(citty|consola)(\/.+)?$/.test(specifier)) {
        faults.push(`${at}, which is no runtime package`);
      } else if (floor !== undefined && floor < FLOORS["src/cli"]!) {
        faults.push(`${at}, which belongs to the command line`);
      }
    }
  }
  return faults;
}

/** Every relative link of a document leads to a file, and to a heading where it names one. */
export function linkFaults(files: readonly ProjectFile[]): Fault[] {
  const known = new Map(files.map((file) => [file.path, file]));
  const folders = new Set(files.flatMap(({ path }) => parentsOf(path)));
  return files.filter(isDocument).flatMap((file) =>
    proseOf(file).flatMap((text, index) => {
      const links = [...text.matchAll(/\]\(<?([^)\s>]+)>?\)|^\[[^\]]+\]:\s*(\S+)/g)];
      return links.flatMap((found) => {
        const link = found[1] ?? found[2]!;
        if (/^[a-z]+:/.test(link)) return [];
        const [path = "", heading] = decodeURI(link).split("#");
        const target = path === "" ? file.path : normalize(join(dirname(file.path), path));
        const at = `${file.path}:${index + 1} links to ${link}`;
        const plain = target.replace(/\/$/, "");
        if (!known.has(plain) && !folders.has(plain)) return [`${at}, which is not there`];
        if (heading === undefined || headingsOf(known.get(plain)).has(heading)) return [];
        return [`${at}, a heading that is not there`];
      });
    }),
  );
}

/** The lock pins no address of a registry, and one version of Bun is named everywhere. */
export function pinFaults(files: readonly ProjectFile[], bunVersion: string): Fault[] {
  return files.flatMap((file) =>
    linesOf(file).flatMap((text, index) => {
      const at = `${file.path}:${index + 1}`;
      if (file.path === "bun.lock") {
        return /\w+:\/\//.test(text) ? [`${at} pins the address of a registry`] : [];
      }
      const versions = [...text.matchAll(/\bbun[@:](\d+\.[\w.-]*\w)/g)];
      return versions
        .filter(([, version]) => version !== bunVersion)
        .map(([name]) => `${at} says ${name}; this project is on ${bunVersion}`);
    }),
  );
}

// --- internal ---

function sources(files: readonly ProjectFile[]): ProjectFile[] {
  return files.filter(({ path }) => path.startsWith("src/") && path.endsWith(".ts"));
}

function isTest(file: ProjectFile): boolean {
  return file.path.startsWith("test/");
}

function isCode(file: ProjectFile): boolean {
  return /\.(ts|sh)$|^\.ci\//.test(file.path);
}

function isDocument(file: ProjectFile): boolean {
  return file.path.endsWith(".md");
}

function linesOf(file: ProjectFile): string[] {
  return file.text.replace(/\n$/, "").split("\n");
}

function folderOf(path: string): string {
  return path === ENTRY
    ? ENTRY
    : path
        .split("/")
        .slice(0, 2)
        .join("/")
        .replace(/^src\/.*\.ts$/, "src");
}

function floorOf(path: string): number | undefined {
  if (path === ENTRY) return 4;
  const folder = folderOf(path);
  return folder === "src" ? 0 : FLOORS[folder];
}

/** All imports, of types too, static and dynamic, with the line on which their specifier stands. */
function importsOf(file: ProjectFile): { specifier: string; line: number }[] {
  const pattern =
    /^(?:import|export)\b[^;"'`]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm;
  return [...file.text.matchAll(pattern)].map((found) => ({
    specifier: found[1] ?? found[2] ?? found[3]!,
    line: file.text.slice(0, found.index + found[0].length).split("\n").length,
  }));
}

/** The lines of a document, with those inside fenced code emptied. */
function proseOf(file: ProjectFile): string[] {
  let fence: string | undefined;
  return linesOf(file).map((text) => {
    const mark = /^\s*(`{3,}|~{3,})/.exec(text)?.[1];
    if (mark === undefined) return fence === undefined ? text.replace(/`[^`]*`/g, "``") : "";
    if (fence === undefined) fence = mark;
    else if (mark.startsWith(fence)) fence = undefined;
    return "";
  });
}

/** The anchors of a document's headings, as GitHub makes them. */
function headingsOf(file: ProjectFile | undefined): Set<string> {
  const anchors = new Set<string>();
  if (file === undefined) return anchors;
  const seen = new Map<string, number>();
  for (const [index, text] of proseOf(file).entries()) {
    if (!/^#{1,6}\s/.test(text)) continue;
    const title = linesOf(file)[index]!.replace(/^#+\s+/, "");
    const anchor = title
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, "")
      .trim()
      .replace(/\s/g, "-");
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    anchors.add(count === 0 ? anchor : `${anchor}-${count}`);
  }
  return anchors;
}

function parentsOf(path: string): string[] {
  const parent = dirname(path);
  return parent === "." ? ["."] : [parent, ...parentsOf(parent)];
}
