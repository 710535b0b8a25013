/** How many bytes the first answer in a block has, in HTTP/1.1 and in RESP; failures throw. */

/** The bytes of the answer that `bytes` begins with; `undefined` until all of it is there. */
export type AnswerSize = (bytes: Buffer) => number | undefined;

/** A success with a Content-Length. */
export function httpAnswerBytes(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return undefined;
  if (bytes[SUCCESS_AT] !== 0x32) throw failed(bytes);
  const length = contentLength(bytes, end);
  if (length === undefined) throw failed(bytes);
  const total = end + HEAD_END.length + length;
  return bytes.length < total ? undefined : total;
}

/** The head that makes a WebSocket of a connection. */
export function upgradeAnswerBytes(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(HEAD_END);
  if (end === -1) return undefined;
  if (!bytes.toString("latin1", 0, end).startsWith("HTTP/1.1 101 ")) throw failed(bytes);
  return end + HEAD_END.length;
}

/** A simple string, an integer or a bulk string; the absence of one (`$-1`) is a failure too. */
export function respAnswerBytes(bytes: Buffer): number | undefined {
  const end = bytes.indexOf(LINE_END);
  if (end === -1) return undefined;
  switch (bytes[0]) {
    case 0x2b:
    case 0x3a:
      return end + 2;
    case 0x24: {
      const length = digitsAt(bytes, 1);
      if (length === undefined) throw failed(bytes);
      const total = end + 2 + length + 2;
      return bytes.length < total ? undefined : total;
    }
    default:
      throw failed(bytes);
  }
}

/** Where the body of an HTTP answer begins. */
export function bodyStart(answer: Buffer): number {
  return answer.indexOf(HEAD_END) + HEAD_END.length;
}

/** An answer that is none that was asked for, with its first words. */
export function failed(bytes: Buffer): Error {
  // Not every answer is text.
  const text = JSON.stringify(bytes.toString("latin1", 0, 400));
  return new Error(`not the answer that was asked for: ${text}`);
}

// --- internal ---

const HEAD_END = Buffer.from("\r\n\r\n");
const LINE_END = Buffer.from("\r\n");
/** Of the first digit of a status in `HTTP/1.1 200`. */
const SUCCESS_AT = 9;
const NAME = "content-length: ";
/** Where it was in the last answer: answers of one kind have it in one place. */
let lengthAt = 0;

function contentLength(bytes: Buffer, end: number): number | undefined {
  if (!isLengthAt(bytes, lengthAt)) {
    const found = /\r\ncontent-length: /i.exec(bytes.toString("latin1", 0, end));
    if (found === null) return undefined;
    lengthAt = found.index + 2;
  }
  return digitsAt(bytes, lengthAt + NAME.length);
}

function isLengthAt(bytes: Buffer, at: number): boolean {
  if (at === 0 || bytes[at - 1] !== 0x0a) return false;
  for (let index = 0; index < NAME.length; index++) {
    // Only letters differ in this bit by their case; of the others no two are mistaken here.
    if ((bytes[at + index]! | 0x20) !== (NAME.charCodeAt(index) | 0x20)) return false;
  }
  return true;
}

function digitsAt(bytes: Buffer, at: number): number | undefined {
  let number = 0;
  let index = at;
  for (; bytes[index]! >= 0x30 && bytes[index]! <= 0x39; index++) {
    number = number * 10 + bytes[index]! - 0x30;
  }
  return index === at ? undefined : number;
}
