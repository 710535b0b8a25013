/** The files of this project that people write, read from the disk. */

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { ProjectFile } from "./tidy.ts";

const root = join(import.meta.dir, "../..");

/** What is made by tools or by running kv, and is not kept with the sources. */
const MADE = /^(\.git|node_modules|dist|kv-data|kv|\.kv\..*|.*\.bun-build|.*\.log|\.DS_Store)$/;

/** Every file of the tree as text, but what tools make. */
export function projectFiles(folder = ""): ProjectFile[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((item) => {
    if (MADE.test(item.name)) return [];
    const path = folder === "" ? item.name : `${folder}/${item.name}`;
    if (item.isDirectory()) return projectFiles(path);
    return [{ path, text: readFileSync(join(root, path), "utf8") }];
  });
}
