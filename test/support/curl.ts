/**
 * A `curl` command line as the request it sends: the few options that the documents use. So their
 * commands can be replayed where there is no `curl`, and on whatever port a test has.
 */

import { rawRequest } from "./raw-http.ts";

/** The bytes that the command sends. Throws for an option that is not known here. */
export function curlRequest(command: string): string {
  const request: CurlRequest = { url: "", headers: [], data: [], isGet: false, isForm: false };
  const [program, ...words] = shellWords(command);
  if (program !== "curl") throw new Error(`no curl command: ${command}`);
  for (let at = 0; at < words.length; at++) {
    const word = words[at]!;
    const option = OPTIONS[word];
    if (option !== undefined) option(request, option.length > 1 ? words[++at]! : "");
    else if (word.startsWith("-")) throw new Error(`${word} is not known here: ${command}`);
    else request.url = word;
  }
  return render(request);
}

// --- internal ---

interface CurlRequest {
  method?: string;
  url: string;
  headers: string[];
  data: string[];
  /** `-G`: the data goes into the query. */
  isGet: boolean;
  isForm: boolean;
}

/** A function of two parameters takes the next word. */
const OPTIONS: Readonly<Record<string, (request: CurlRequest, word: string) => void>> = {
  "-i": () => {},
  "-N": () => {},
  "--path-as-is": () => {},
  "-I": (request) => {
    request.method = "HEAD";
  },
  "-G": (request) => {
    request.isGet = true;
  },
  "-X": (request, method) => {
    request.method = method;
  },
  "-H": (request, line) => {
    request.headers.push(line);
  },
  "-d": (request, data) => {
    request.data.push(data);
  },
  "--data-urlencode": (request, data) => {
    const equals = data.indexOf("=");
    request.data.push(data.slice(0, equals + 1) + encodeURIComponent(data.slice(equals + 1)));
  },
  "-F": (request, data) => {
    request.isForm = true;
    request.data.push(data);
  },
};

function render(request: CurlRequest): string {
  const { url, isGet, isForm, data } = request;
  const [, host = "", path = ""] = /^(?:http:\/\/)?([^/?]+)(.*)$/.exec(url) ?? [];
  const headers = [...request.headers];
  if (!has(headers, "host")) headers.push(`Host: ${host}`);
  if (isGet) {
    const target = `${path}?${data.join("&")}`;
    return rawRequest(request.method ?? "GET", target, headers);
  }
  if (data.length === 0) return rawRequest(request.method ?? "GET", path || "/", headers);
  const body = isForm ? formBody(data) : Buffer.from(data.join("&")).toString("latin1");
  if (!has(headers, "content-type")) {
    const type = isForm ? "multipart/form-data; boundary=x" : "application/x-www-form-urlencoded";
    headers.push(`Content-Type: ${type}`);
  }
  headers.push(`Content-Length: ${body.length}`);
  return rawRequest(request.method ?? "POST", path, headers) + body;
}

function has(headers: readonly string[], name: string): boolean {
  return headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
}

function formBody(fields: readonly string[]): string {
  const parts = fields.map((field) => {
    const [name, value] = field.split("=");
    return `--x\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
  });
  return `${parts.join("")}--x--\r\n`;
}

/** Words as a shell splits them: blanks, single and double quotes; no variables, no escapes. */
function shellWords(line: string): string[] {
  const words = line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [];
  return words.map((word) =>
    word.replace(
      /'([^']*)'|"([^"]*)"/g,
      (_, single?: string, double?: string) => single ?? double!,
    ),
  );
}
