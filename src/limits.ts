/**
 * Every bound of kv, each named with its unit. What a user can meet is answered by `GET /v1/status`
 * as `limits` (the `Limits` of a store), so that clients and the conformance suite need no
 * constants.
 */

const KIB = 1024;
const MIB = 1024 * KIB;

/** Bounds that a store promises to its callers; an engine may have lower ones. */
export interface Limits {
  /** Bytes of a key in UTF-8; the smallest is 1. */
  readonly keyBytesMax: number;
  /** Bytes of one value; the smallest is 0. */
  readonly valueBytesMax: number;
  /** Characters of a content type, all visible ASCII or space. */
  readonly contentTypeCharsMax: number;
  /** Checks in one transaction. */
  readonly txnChecksMax: number;
  /** Operations in each list of one transaction. */
  readonly txnOperationsMax: number;
  /** Events in one commit. */
  readonly commitEventsMax: number;
  /** Bytes of keys and values in one commit, and of values that one transaction reads. */
  readonly commitBytesMax: number;
  /** Entries in one page of a list, at most. */
  readonly pageEntriesMax: number;
  /** Bytes of values after which a page ends (the entry that passes it is still in). */
  readonly pageBytesMax: number;
}

export const LIMITS: Limits = {
  keyBytesMax: 1024,
  valueBytesMax: 16 * MIB,
  contentTypeCharsMax: 255,
  txnChecksMax: 10_000,
  txnOperationsMax: 10_000,
  commitEventsMax: 10_000,
  commitBytesMax: 32 * MIB,
  pageEntriesMax: 10_000,
  pageBytesMax: 4 * MIB,
};

/** Entries in a page of a list or a history when the caller names no limit. */
export const PAGE_ENTRIES_DEFAULT = 1_000;
/** Milliseconds until an entry expires, at most: 3,650 days. */
export const TTL_MS_MAX = 3_650 * 24 * 60 * 60 * 1000;

// HTTP and WebSocket

/** Bytes of a JSON request body: a commit of the largest size as base64, and the JSON around it. */
export const JSON_BODY_BYTES_MAX = Math.ceil((LIMITS.commitBytesMax * 4) / 3) + 4 * MIB;
/**
 * Bytes of a request body up to which it is read in one piece, as it has arrived already most
 * times.
 */
export const BODY_PIECE_BYTES_MAX = 64 * KIB;
/**
 * Bytes of larger bodies that are being read, on all connections together; one more is turned away.
 */
export const BODIES_BYTES_MAX = 256 * MIB;
/**
 * Values in a JSON text from a client: more than the largest transaction has in all the fields of
 * its checks and operations. Each takes up to 100 bytes, however short it is.
 */
export const JSON_VALUES_MAX = 16 * (LIMITS.txnChecksMax + 2 * LIMITS.txnOperationsMax);
/** Bytes of large JSON texts that are parsed between two collections of their garbage. */
export const JSON_GARBAGE_BYTES = 32 * MIB;
/** Seconds after which a connection is closed on which no request and no piece of a body came. */
export const CONNECTION_IDLE_SECONDS = 30;
/**
 * Milliseconds that a stop of the server waits for requests to be answered. Containers are killed
 * 10 seconds after they were asked to stop: this leaves time to seal the log.
 */
export const STOP_MS = 7_000;
/** Content types whose headers are kept ready. */
export const CONTENT_TYPES_KEPT_MAX = 256;
/** Milliseconds that a blocking read waits when the caller does not say, and at most. */
export const WAIT_MS_DEFAULT = 30_000;
export const WAIT_MS_MAX = 300_000;
/**
 * Seconds after which a stream is cut of which nothing is taken. Long, for what a slow client takes
 * is seen in large steps only: the system keeps some MiB for it.
 */
export const STREAM_IDLE_SECONDS = 120;
/** Streams of entries at the same time. */
export const ENTRY_STREAMS_MAX = 1_000;
/** Copies of the store that are streamed at the same time: each reads as fast as it is taken. */
export const SNAPSHOT_STREAMS_MAX = 4;
/** Bytes of a stream that are made at once, one entry more or less. */
export const STREAM_PIECE_BYTES = 64 * KIB;
/** Bytes of values that one read for a stream aims at. */
export const STREAM_READ_BYTES = 256 * KIB;
/** Entries that one read for a stream asks for at most. */
export const STREAM_READ_ENTRIES_MAX = 1_000;
/** Bytes of lines that streams make between two collections of their garbage. */
export const STREAM_GARBAGE_BYTES = 4 * MIB;
/** WebSocket connections at the same time. */
export const SOCKET_CONNECTIONS_MAX = 50_000;
/** Bytes of one WebSocket message from a client: the same as a JSON body. */
export const SOCKET_MESSAGE_BYTES_MAX = JSON_BODY_BYTES_MAX;
/** Bytes of answers unsent on a connection above which no further request is read from it. */
export const SOCKET_ANSWER_BYTES_MAX = 1 * MIB;
/** Requests of one connection that are read and not answered yet. */
export const SOCKET_REQUESTS_MAX = 1_024;
/** Bytes of the requests of one connection that are read and not answered yet. */
export const SOCKET_REQUEST_BYTES_MAX = 64 * MIB;
/**
 * Bytes of requests of all connections together that are read and not answered yet, above which a
 * large one more is refused as `unavailable`. From half of it on, no connection is read from that
 * holds more than a little.
 */
export const SOCKETS_REQUEST_BYTES_MAX = 256 * MIB;
/** Bytes of requests that a connection may hold however much others do; a small one has no more. */
export const SOCKET_SMALL_REQUEST_BYTES = 64 * KIB;
/** Operations in one binary frame. */
export const FRAME_OPERATIONS_MAX = 10_000;
/** Bytes of the answers of a binary frame after which its gets are left unread. */
export const FRAME_ANSWER_BYTES = 4 * MIB;
/** Characters of a request id that is a string. */
export const SOCKET_ID_CHARS_MAX = 64;
/** Watches of one connection. */
export const SOCKET_WATCHES_MAX = 5_000;
/** Keys and prefixes of all watches of one connection together. */
export const SOCKET_RANGES_MAX = 50_000;
/** Bytes unsent on a connection above which the platform closes it: the last resort. */
export const SOCKET_BACKPRESSURE_BYTES_MAX = 16 * MIB;
/** Seconds between pings, at most. */
export const SOCKET_PING_SECONDS = 20;
/**
 * Seconds without a sign of life, or without taking any of what waits for it, before a connection
 * is cut.
 */
export const SOCKET_IDLE_SECONDS = 120;
/** Milliseconds that a stop waits for connections to take their last frames. */
export const SOCKET_CLOSE_MS = 2_000;

// Watching

/** Bytes unsent on a connection above which a live watcher goes over to catching up. */
export const WATCHER_UNSENT_BYTES_MAX = 1 * MIB;
/** Bytes published on a topic between two looks at what its connections have unsent. */
export const TOPIC_CHECK_BYTES = 256 * KIB;
/** Bytes published on all topics together between two looks at every connection that watches. */
export const PUBLISHED_CHECK_BYTES = 4 * MIB;
/** Milliseconds that publishing takes for each connection, however few frames it gets. */
export const PUBLISH_CONNECTION_MS = 0.002;
/** Milliseconds that a commit waits for others to be published with, at most. */
export const PUBLISH_WAIT_MS_MAX = 5;
/** Watchers that read history at the same time; the others take turns with them. */
export const WATCHER_PULLS_MAX = 4;
/** Bytes of one frame of a watch; a larger commit is sent in several frames. */
export const FRAME_BYTES_MAX = 256 * KIB;
/** Keys and prefixes of one watch. */
export const WATCH_RANGES_MAX = 1_000;
/**
 * Bytes of keys gathered for a watcher that takes the newest event of each only, before these are
 * sent.
 */
export const LATEST_BYTES_MAX = 1 * MIB;
/** Milliseconds between two signs of life on a stream of events that has nothing to say. */
export const STREAM_HEARTBEAT_MS = 15_000;
/** Milliseconds after which a browser whose stream of events has ended comes back for more. */
export const SSE_RETRY_MS = 1_000;
/** Streams of watches over HTTP at the same time. */
export const WATCH_STREAMS_MAX = 20_000;
/** Watchers that a status names, at most. */
export const WATCHERS_LISTED_MAX = 1_000;
/** Milliseconds between two frames of a watch when the store moves and its filter is silent. */
export const PROGRESS_MS = 10_000;
/** Blocking reads that wait at the same time. */
export const KEY_WAITS_MAX = 50_000;

// The command kv bench

/** Connections of one load, and watchers of one. */
export const BENCH_CONNECTIONS_MAX = 10_000;
/** Keys of one load: their numbers have ten digits. */
export const BENCH_KEYS_MAX = 1_000_000_000;

// The client

/** Milliseconds from the start of a request to the end of its answer, unless the caller says. */
export const CLIENT_TIMEOUT_MS = 10_000;
/** Milliseconds of silence on a connection before the client asks whether the server is there. */
export const CLIENT_HEARTBEAT_MS = 10_000;
/** The same on a stream over HTTP: longer than the server is ever silent there. */
export const CLIENT_STREAM_HEARTBEAT_MS = STREAM_HEARTBEAT_MS + 5_000;
/** Milliseconds before the first attempt to connect again, and at most before later ones. */
export const CLIENT_BACKOFF_MS_MIN = 100;
export const CLIENT_BACKOFF_MS_MAX = 5_000;
/** Milliseconds between attempts of a write whose answer was lost, at most. */
export const CLIENT_RETRY_BACKOFF_MS_MAX = 1_000;
/** Bytes of changes that wait for one consumer, at most; one commit may pass it. */
export const CLIENT_WATCH_BYTES_MAX = 4 * MIB;
/** Commits that wait for one consumer: small ones take more memory than their bytes say. */
export const CLIENT_WATCH_COMMITS_MAX = 16_384;
/** Bytes of changes kept for a watch that waits to join a running one. */
export const CLIENT_JOINING_BYTES_MAX = 1 * MIB;
/**
 * Bytes of the address of a watch over HTTP: most servers and proxies take 16 KiB with all headers.
 */
export const CLIENT_STREAM_PATH_BYTES_MAX = 14 * KIB;
/** Watches that the client puts on one connection: well below what the server allows. */
export const CLIENT_CONNECTION_WATCHES_MAX = 1_000;
/**
 * Milliseconds that a blocking read of the client stays open before it is asked anew: a connection
 * whose other end is gone looks like one where nothing happens.
 */
export const CLIENT_WAIT_MS_MAX = 30_000;
/** Bytes of a value from which on a request of its own costs less than the JSON around it. */
export const CLIENT_LARGE_VALUE_BYTES = 64 * KIB;
/** Operations that the client puts into one binary frame, and bytes after which it ends. */
export const CLIENT_FRAME_OPERATIONS = 1_000;
export const CLIENT_FRAME_BYTES = 256 * KIB;
/** Frames of one call of the client that are sent and not answered yet. */
export const CLIENT_FRAMES_MAX = 4;
/** Times that the client asks for the same entry in frames whose answers are lost. */
export const CLIENT_FRAME_ATTEMPTS_MAX = 3;
/**
 * Milliseconds after which the client closes a connection for frames that nobody uses: it would
 * keep the process from ending.
 */
export const CLIENT_FRAMES_IDLE_MS = 1_000;
/** Calls in one turn from which on the client opens a connection to send such calls together. */
export const CLIENT_GATHERED_MIN = 8;
/** Milliseconds before the client tries that, or waits for it, again after it did not open. */
export const CLIENT_GATHERED_RETRY_MS = 60_000;
/** Requests of one call of the client at the same time, where there are no frames. */
export const CLIENT_REQUESTS_MAX = 16;

// The log engine

/** Bytes after which a segment is sealed and the next one begun. */
export const SEGMENT_BYTES_MAX = 128 * MIB;
/** The highest id that positions in memory name a segment by: the index has 21 bits for it. */
export const SEGMENT_ID_MAX = 2 ** 21 - 1;
/** Bytes of keys and values that one batch of commits takes on. */
export const BATCH_BYTES_MAX = 32 * MIB;
/** Records after which a batch takes on no more: some 30 ms of work, while nobody has a turn. */
export const BATCH_RECORDS_MAX = 8_192;
/** Operations of one block of many that share a batch, at most: others have their turn then. */
export const MANY_OPERATIONS_A_BATCH = 4_096;
/** The same of gets alone, which need no batch. */
export const MANY_GETS_A_TURN = 4_096;
/**
 * Bytes of keys and values waiting to be written above which a write is refused as `unavailable`.
 */
export const QUEUE_BYTES_MAX = 256 * MIB;
/** Transactions waiting to be written above which one more is refused as `unavailable`. */
export const QUEUE_TXNS_MAX = 100_000;
/** Bytes of values kept in memory for reads. */
export const VALUE_CACHE_BYTES_MAX = 64 * MIB;
/** Bytes of the newest commits kept in memory for watchers that are caught up. */
export const RECENT_BYTES_MAX = 4 * MIB;
/** Keys of large commits whose places in the log are kept for reads of the past. */
export const COMMIT_PLACES_MAX = 100_000;
/** Bytes of log between two marks of a segment's table of revisions. */
export const MARK_BYTES = 16 * KIB;
/** Bytes of log that one pull of `changes` reads at most before it answers. */
export const CHANGES_SCAN_BYTES = 1 * MIB;
/** Keys that the lists and deletions of ranges of one transaction look at. */
export const TXN_SCAN_KEYS_MAX = 100_000;
/** Milliseconds that a sync took behind which the next batch waits for those who come back. */
export const GATHER_SYNC_MS_MIN = 2;
/** Milliseconds for which it waits, at most. */
export const GATHER_MS_MAX = 20;
/** Writers that there have to be for it. */
export const GATHER_WRITERS_MIN = 8;
/** Batches that do not wait behind one for which it was not worth it. */
export const GATHER_REST_BATCHES = 64;
/** Keys that expire in one commit, at most. */
export const EXPIRE_EVENTS_MAX = 2_000;
/** Milliseconds after which the clock is looked at again for keys that are due: it may jump. */
export const EXPIRE_LOOK_MS_MAX = 1_000;
/** Milliseconds that a read goes on before it lets others have their turn. */
export const READ_SLICE_MS = 5;
/** Deleted keys that are forgotten in one turn after a compaction. */
export const TOMBSTONES_SLICE = 2_048;
/** Milliseconds for which history is kept, unless the operator says otherwise. */
export const HISTORY_MS_DEFAULT = 24 * 60 * 60 * 1000;
/** Bytes of log above the oldest readable revision that are kept, unless the operator says. */
export const HISTORY_BYTES_DEFAULT = 1024 * MIB;
/**
 * How long a pin keeps history from being forgotten by itself, and how much further history; and
 * how long a backup keeps the room of segments that were replaced meanwhile.
 */
export const PIN_MS_MAX = 10 * 60 * 1000;
export const PIN_BYTES_MAX = 1024 * MIB;
/** Bytes on the disk that are kept for deletions, compactions and merges when it is full. */
export const RESERVE_BYTES = 64 * MIB;
/** The largest share of a disk that the reserve takes: else it might never fit. */
export const RESERVE_SHARE_MAX = 1 / 4;
/** What has to be free beside the reserve when it is made: a share of it, and bytes at most. */
export const RESERVE_SPARE_SHARE = 1 / 16;
export const RESERVE_SPARE_BYTES_MAX = 4 * MIB;
/** Bytes of it that are made in one step. */
export const RESERVE_PIECE_BYTES = 64 * KIB;
/** Milliseconds between two looks whether a full disk has room again. */
export const FULL_DISK_LOOK_MS = 1_000;
/** Revisions that are reserved at a time where writes are answered before they are synced. */
export const RESERVED_REVISIONS = 1_000_000;
/** Revisions above those of a copy that a store made of it passes over. */
export const RESTORE_VOID_REVISIONS = 1_000_000_000;
/** Bytes that wait for a sync at which one is made, where writes are answered before. */
export const UNSYNCED_BYTES_MAX = 8 * MIB;
/** Bytes that wait for a sync at which writes wait as well: the disk cannot keep up with them. */
export const UNSYNCED_BYTES_WAIT = 32 * MIB;
/** Bytes that background work writes between two syncs: the log's own wait behind each. */
export const BACKGROUND_SYNC_BYTES = 1 * MIB;
/** Milliseconds that background work goes on before it lets requests have their turn. */
export const BACKGROUND_SLICE_MS = 1;
/** Milliseconds of a slice at most where it is a share of what others took. */
export const SHARED_SLICE_MS_MAX = 10;
/** Milliseconds between two looks whether there is background work. */
export const BACKGROUND_LOOK_MS = 1_000;
/** Bytes written to the log after which it is looked at once. */
export const BACKGROUND_WAKE_BYTES = 1 * MIB;
/** Milliseconds before background work that failed is tried again. */
export const BACKGROUND_RETRY_MS = 60_000;
/** Bytes of the log that nobody can read any more, below which nothing is merged. */
export const MERGE_BYTES_MIN = 4 * MIB;
/** Bytes of log that are read again at a start, below which no checkpoint is made. */
export const CHECKPOINT_BYTES_MIN = 16 * MIB;
/**
 * Bytes of log for each byte of the last checkpoint after which the next one is made: checkpoints
 * cost a part of what the log costs, and a start reads little again beside what it reads anyway.
 */
export const CHECKPOINT_LOG_RATIO = 1.5;
/** Keys in one block of a checkpoint, and bytes of keys after which one ends. */
export const CHECKPOINT_BLOCK_KEYS_MAX = 1_024;
export const CHECKPOINT_BLOCK_KEY_BYTES = 64 * KIB;
/** Bytes of a block that a reader of checkpoints believes, at most. */
export const CHECKPOINT_BLOCK_BYTES_MAX = 16 * MIB;
/** Bytes of a segment that are read at once to compare the checksum of all of it. */
export const SEGMENT_READ_BYTES = 256 * KIB;
/**
 * Merges have fallen behind where the log has so many times the least garbage that is looked for,
 * above twice what is live.
 */
export const MERGE_BEHIND_TIMES = 64;
/** The part of the time of requests that merges take as well once they have fallen behind. */
export const MERGE_BEHIND_SHARE = 1;
/** The share of a segment that nobody can read any more, from which on it is merged. */
export const MERGE_GARBAGE_SHARE = 0.25;
/** The same while the disk is full: then little is worth the work. */
export const FULL_DISK_GARBAGE_SHARE = 1 / 32;
/** Milliseconds before garbage is looked for again after little was found, and at most. */
export const SURVEY_BACKOFF_MS_MIN = 60_000;
export const SURVEY_BACKOFF_MS_MAX = 60 * 60_000;
/** Bytes of one piece of a backup, about; a large record goes in several. */
export const SNAPSHOT_PIECE_BYTES = 256 * KIB;
/** Bytes of a log that is made offline that are gathered before they are written. */
export const OFFLINE_WRITE_BYTES = 1 * MIB;
/** Keys of one damaged place that a report names. */
export const REPORTED_KEYS_MAX = 100;
/** Files that a server may have open, connections included, below which a start warns. */
export const OPEN_FILES_FEW = 4_096;
