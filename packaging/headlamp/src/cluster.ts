/** The cluster that Headlamp shows, as tlsboot's own code reads it: with the rights of Headlamp's user. */
import { createApiClient } from "../../../client/objects/api.ts";
import type { ApiHandle } from "../../../cli/api/connection.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { isRecord } from "../../../core/lib/record.ts";
import type { Clock, Transport, TransportResponse } from "../../../core/ports.ts";
import { pluginLib } from "./plugin_lib.ts";

const transport: Transport = {
  async send({ method, path, headers, body }, signal) {
    try {
      const answer = await pluginLib.ApiProxy.request(path, {
        method,
        headers,
        ...(body === undefined ? {} : { body: new TextDecoder().decode(body) }),
        signal,
        isJSON: false,
      }, false);
      return {
        status: answer.status,
        headers: Object.fromEntries(answer.headers),
        body: readBody(answer),
      };
    } catch (error) {
      signal.throwIfAborted();
      return toFailure(error);
    }
  },
};

async function* readBody(answer: Response): AsyncIterable<Uint8Array> {
  yield new Uint8Array(await answer.arrayBuffer());
}

/** Headlamp answers a failure with an error, whose text is that of the status line and then that of the API. */
function toFailure(error: unknown): TransportResponse {
  const status = isRecord(error) ? error["status"] : undefined;
  if (typeof status !== "number") {
    throw new AppError("unreachable", `the cluster cannot be reached: ${getErrorMessage(error)}`, {
      cause: error,
      retryable: true,
    });
  }
  const text = getErrorMessage(error);
  const at = text.indexOf(" - ");
  const message = at === -1 ? text : text.slice(at + 3);
  const body = { kind: "Status", apiVersion: "v1", status: "Failure", message, code: status };
  return { status, headers: {}, body: encode(JSON.stringify(body)) };
}

async function* encode(text: string): AsyncIterable<Uint8Array> {
  yield new TextEncoder().encode(text);
}

/** The clock of the browser. */
export const clock: Clock = {
  now: () => new Date(),
  elapsedMs: () => performance.now(),
  sleep: wait,
  sleepUntil: (deadline, signal) => wait(deadline.getTime() - Date.now(), signal),
};

function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** The API of the cluster. */
export const cluster: ApiHandle = {
  transport,
  api: createApiClient(transport, { clock }),
  serverNames: () =>
    Promise.reject(new AppError("unreachable", "a browser does not see the serving certificate of the API server")),
};
