/** HTTPS requests to a server on loopback, each over a new connection unless an agent is given. */
import { Buffer } from "node:buffer";
import type { IncomingHttpHeaders } from "node:http";
import { request, type RequestOptions } from "node:https";

/** A request; by default a GET, or a POST of JSON if it has a body. */
export interface Asked extends RequestOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly token?: string | undefined;
  /** A body; an object is sent as JSON. */
  readonly body?: object | string | undefined;
}

export interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request. Rejects if the answer is missing or incomplete. */
export function ask({ token, body, headers, ...options }: Asked): Promise<Reply> {
  const text = typeof body === "object" ? JSON.stringify(body) : body;
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: "127.0.0.1", method: body === undefined ? "GET" : "POST", agent: false },
      ...options,
      headers: {
        ...token === undefined ? {} : { authorization: `Bearer ${token}` },
        // Node omits the length of a DELETE, and the server would read its body as the next request.
        ...text === undefined
          ? {}
          : { "content-type": "application/json", "content-length": `${Buffer.byteLength(text)}` },
        ...headers,
      },
    }, (answer) => {
      let read = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => read += chunk);
      answer.on("end", () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text: read }));
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("the server does not answer")));
    sent.on("error", reject);
    sent.end(text);
  });
}
