/**
 * From a request to its answer: guard, path, method, parameters, handler, and what went wrong in
 * any.
 */

import { KvError } from "../errors.ts";
import { failure } from "./answers.ts";
import { addCors, type Guard } from "./guard.ts";
import { readParameters } from "./parameters.ts";
import { findResource, type KeyedResource, type Resource } from "./routes.ts";
import type { Context, HttpServer } from "./route.ts";
import { keyOfPath, movedOut, readTarget } from "./target.ts";

type Handled = Response | undefined | Promise<Response | undefined>;

export interface HandlerOptions {
  readonly context: Context;
  readonly guard: Guard;
}

/**
 * Answers requests. `sentTo` is the keyed resource with whose path the platform saw the raw target
 * begin, if any; the URL it hands over may have been led elsewhere by dot segments.
 */
export type Handler = (request: Request, server: HttpServer, sentTo?: KeyedResource) => Handled;

export function makeHandler({ context, guard }: HandlerOptions): Handler {
  return (request, server, sentTo) => {
    let origin: string | undefined;
    try {
      const { path, query } = readTarget(request.url);
      origin = guard.check(request.headers, path);
      const resource = sentTo ?? findResource(path);
      const { keyStart } = resource;
      if (sentTo !== undefined && !path.startsWith(sentTo.keyStart))
        throw movedOut(sentTo.keyStart);
      const { method } = request;
      const route = resource.routes.get(method);
      if (route === undefined) return finish(otherMethod(resource, request), origin);
      const key = keyStart === undefined ? "" : keyOfPath(path, keyStart);
      const parameters = readParameters(route.parameters, query, method, route.path);
      const answer = route.handle({ context, request, server, key }, parameters);
      if (answer instanceof Promise) return finishLater(context, answer, origin);
      return finish(answer, origin);
    } catch (error) {
      return finish(failure(error, context.onError), origin);
    }
  };
}

// --- internal ---

function finish(response: Response | undefined, origin: string | undefined) {
  if (origin !== undefined && response !== undefined) addCors(response, origin);
  return response;
}

async function finishLater(
  { onError }: Context,
  answer: Promise<Response | undefined>,
  origin: string | undefined,
): Promise<Response | undefined> {
  try {
    return finish(await answer, origin);
  } catch (error) {
    return finish(failure(error, onError), origin);
  }
}

function otherMethod(resource: Resource, request: Request): Response {
  if (request.method === "OPTIONS") return options(resource, request.headers);
  const response = failure(
    new KvError(
      "method_not_allowed",
      `${resource.path} does not take ${request.method}; it takes ${resource.allow}`,
    ),
    () => {},
  );
  response.headers.set("Allow", resource.allow);
  return response;
}

/** What can be done here; to a browser that asks before it sends, also what it may send. */
function options(resource: Resource, asked: Headers): Response {
  const headers: Record<string, string> = { Allow: resource.allow };
  if (asked.has("origin") && asked.has("access-control-request-method")) {
    headers["Access-Control-Allow-Methods"] = resource.allow;
    headers["Access-Control-Allow-Headers"] = resource.allowHeaders;
    headers["Access-Control-Max-Age"] = "600";
  }
  return new Response(null, { status: 204, headers });
}
