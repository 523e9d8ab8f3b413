/** Plain HTTPS requests with or without a bearer token, including requests that no Kubernetes client sends. */
import { readFile } from "node:fs/promises";
import { ask } from "../https_request.ts";

interface ApiRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string;
  /** Sends the request without the client's token. */
  readonly isAnonymous?: boolean;
}

/** An answer, read to its end. */
interface ApiAnswer {
  readonly code: number;
  readonly text: string;
}

export type ApiClient = (method: string, path: string, request?: ApiRequest) => Promise<ApiAnswer>;

/** Creates a client of a server. */
export async function createApiClient(
  { server, caPath }: { readonly server: string; readonly caPath: string },
  token: string,
): Promise<ApiClient> {
  const [ca, { hostname: host, port }] = [await readFile(caPath, "utf8"), new URL(server)];
  return (method, path, { headers, body, isAnonymous = false } = {}) =>
    ask({
      ...{ host, port, method, path, ca, body },
      token: isAnonymous ? undefined : token,
      headers: { "user-agent": "tlsboot-interop", ...headers },
    });
}
