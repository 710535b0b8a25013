/** Entries, and the commits of events that change them. No technology in here. */

/** What is known of an entry without its value. */
export interface EntryInfo {
  readonly key: string;
  /** As it was put: up to 255 characters of visible ASCII, spaces between them included. */
  readonly contentType: string;
  /** The revision of the last change. */
  readonly revision: number;
  /** The revision that created the key (it was absent before). */
  readonly createRevision: number;
  /** Changes since creation; 1 = just created. */
  readonly version: number;
  /** When the entry expires, in milliseconds since 1970; absent when it never does. */
  readonly expiresAt?: number;
}

/** A key with its value. The bytes belong to the store: read them, never write to them. */
export interface Entry extends EntryInfo {
  readonly value: Uint8Array;
}

/** An entry of a list: without its value when only keys were asked for. */
export interface ListedEntry extends EntryInfo {
  readonly value?: Uint8Array;
}

/** A key was created or changed. */
export interface PutEvent extends Entry {
  readonly type: "put";
  /** What was there before, when it was asked for; absent where the key was. */
  readonly prev?: Entry;
}

/** A key was removed: by a request, or because its time had run out. */
export interface DeleteEvent {
  readonly type: "delete" | "expire";
  readonly key: string;
  readonly revision: number;
  /** What was there before, when it was asked for. */
  readonly prev?: Entry;
}

export type Event = PutEvent | DeleteEvent;

/** An event whose values may have been left out. */
export type ListedEvent = { readonly prev?: ListedEntry } & (
  | ({ readonly type: "put" } & ListedEntry)
  | { readonly type: "delete" | "expire"; readonly key: string; readonly revision: number }
);

/** All events of one revision, in the order of each key's last operation. */
export interface Commit {
  readonly revision: number;
  readonly events: readonly Event[];
}
