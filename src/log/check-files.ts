/** What a check says of the files beside the segments. */

import type { Finding } from "./check-report.ts";
import { readFully, TEMPORARY_SUFFIX, type Disk } from "./disk.ts";
import { DURABLE_FILE } from "./durable.ts";
import { decodeSlot, DURABLE_FILE_BYTES, SLOT_BYTES, SLOT_OFFSETS } from "./slot-format.ts";
import { RESERVE_FILE } from "./reserve.ts";
import { segmentNumber } from "./segment.ts";

/** None of this stops a start: all are notes. */
export function otherFiles(disk: Disk): Finding[] {
  const findings: Finding[] = [];
  for (const name of disk.list().toSorted()) {
    const what = (text: string): void => {
      findings.push({ severity: "note", file: name, what: text });
    };
    if (name.endsWith(TEMPORARY_SUFFIX)) what("it was still being made; a start removes it");
    else if (isCut(name)) what("bytes that a start has cut; nothing reads them");
    else if (name === DURABLE_FILE) findings.push(...durableFindings(disk));
    else if (name === RESERVE_FILE && sizeOf(disk, name) === 0) {
      what("it was given up: the disk was full");
    }
  }
  return findings;
}

// --- internal ---

function isCut(name: string): boolean {
  const [, segment] = /^(.*)\.cut-\d+$/.exec(name) ?? [];
  return segment !== undefined && segmentNumber(segment) !== undefined;
}

function sizeOf(disk: Disk, name: string): number {
  const file = disk.openReadOnly(name);
  try {
    return file.size();
  } finally {
    file.close();
  }
}

/** A start can do without a slot, which a power cut may have torn: it takes the other one. */
function durableFindings(disk: Disk): Finding[] {
  const findings: Finding[] = [];
  const note = (offset: number, what: string): void => {
    findings.push({ severity: "note", file: DURABLE_FILE, offset, what });
  };
  const file = disk.openReadOnly(DURABLE_FILE);
  try {
    const size = file.size();
    if (size !== DURABLE_FILE_BYTES) note(size, `it has ${size} bytes, not ${DURABLE_FILE_BYTES}`);
    const bytes = new Uint8Array(DURABLE_FILE_BYTES);
    readFully(file, bytes, 0);
    for (const offset of SLOT_OFFSETS) {
      const slot = bytes.subarray(offset, offset + SLOT_BYTES);
      const isEmpty = slot.every((byte) => byte === 0);
      if (!isEmpty && decodeSlot(slot) === undefined) note(offset, "a slot fails its checksum");
      slot.fill(0);
    }
    const other = bytes.findIndex((byte) => byte !== 0);
    if (other >= 0) note(other, "there is something where nothing is ever written");
  } finally {
    file.close();
  }
  return findings;
}
