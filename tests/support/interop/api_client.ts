/** Plain HTTPS requests with a bearer token, or without; requests that no Kubernetes client sends are possible, too. */
import { readFile } from "node:fs/promises";
import { request } from "node:https";

/** The optional parts of a request. */
export interface ApiRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string;
  /** Sends the request without the client's token. */
  readonly isAnonymous?: boolean;
}

/** An answer, read to its end. */
export interface ApiAnswer {
  readonly code: number;
  readonly text: string;
}

export type ApiClient = (method: string, path: string, request?: ApiRequest) => Promise<ApiAnswer>;

/** Creates a client of a server. */
export async function createApiClient(
  { server, caPath }: { readonly server: string; readonly caPath: string },
  token: string,
): Promise<ApiClient> {
  const ca = await readFile(caPath, "utf8");
  return (method, path, { headers = {}, body, isAnonymous = false } = {}) =>
    new Promise((resolve, reject) => {
      const sent = typeof body === "object" ? JSON.stringify(body) : body;
      const call = request(`${server}${path}`, {
        method,
        ca,
        headers: {
          "user-agent": "tlsboot-interop",
          ...(isAnonymous ? {} : { authorization: `Bearer ${token}` }),
          ...(sent === undefined ? {} : {
            "content-type": "application/json",
            // Node leaves it out of a DELETE, and its body would be taken for the next request.
            "content-length": String(new TextEncoder().encode(sent).length),
          }),
          ...headers,
        },
      }, (response) => {
        const chunks: Uint8Array[] = [];
        response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
        response.once("end", () => {
          const text = new TextDecoder().decode(new Uint8Array(chunks.flatMap((chunk) => [...chunk])));
          resolve({ code: response.statusCode ?? 0, text });
        });
        response.once("error", reject);
      });
      call.once("error", reject);
      call.end(sent);
    });
}
