/** A connection whose answers are written into the ledger as they pass. */
import { Buffer } from "node:buffer";
import type { Connect } from "../../client/transport/connect.ts";
import type { TransportRequest, TransportResponse } from "../../core/ports.ts";
import type { Ledger, Shown } from "./ledger.ts";

const REQUESTS = /^\/apis\/certificates\.k8s\.io\/v1\/certificatesigningrequests\b/;
const RECORDS = /^\/apis\/tlsboot\/v1alpha1\/issuedcertificates\b/;
const COUNTERS = /^\/api\/v1\/namespaces\/[^/]+\/configmaps\b/;

/** The resource that a path is about, of those that are kept account of. */
export function parseResource(path: string): string | undefined {
  if (REQUESTS.test(path)) return "certificatesigningrequests";
  if (RECORDS.test(path)) return "issuedcertificates";
  return COUNTERS.test(path) ? "configmaps" : undefined;
}

/** Wraps connections so that the ledger records their answers. */
export function observeConnections(connect: Connect, ledger: Ledger): Connect {
  return async (cluster) => {
    const transport = await connect(cluster);
    return {
      async send(request, signal) {
        const newestBefore = ledger.newest;
        const answer = await transport.send(request, signal);
        const resource = parseResource(request.path);
        if (resource === undefined || answer.status >= 300) return answer;
        return { ...answer, body: observe(answer, request, resource, newestBefore, ledger) };
      },
      [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
    };
  };
}

/** Records each line, which is a whole JSON value: an object, a list, or one event of a watch. */
async function* observe(
  answer: TransportResponse,
  request: TransportRequest,
  resource: string,
  newestBefore: number,
  ledger: Ledger,
): AsyncGenerator<Uint8Array> {
  let rest = "";
  const take = (line: string): void => {
    const object = parse(line);
    if (object === undefined) return;
    // A deletion is acknowledged with a Status, or by the caller.
    if (["POST", "PUT", "PATCH"].includes(request.method)) ledger.acknowledge(resource, object, newestBefore);
    else ledger.show(resource, object);
  };
  for await (const chunk of answer.body) {
    const lines = (rest + Buffer.from(chunk).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    // This happens before the chunk is passed on, because its reader may act on it at once.
    for (const line of lines) take(line);
    yield chunk;
  }
  take(rest);
}

function parse(line: string): Shown | undefined {
  try {
    const value = JSON.parse(Buffer.from(line, "latin1").toString("utf8"));
    const object = value?.object ?? value;
    return object?.metadata?.uid === undefined ? undefined : object;
  } catch {
    // A line that was cut off in the middle was not received.
    return undefined;
  }
}
