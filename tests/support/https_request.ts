/** One request over HTTPS to a server on loopback, over a new connection unless an agent is given. */
import type { IncomingHttpHeaders } from "node:http";
import { request, type RequestOptions } from "node:https";

/** A request; one with a body is a POST of JSON. */
export interface Asked extends RequestOptions {
  readonly token?: string | undefined;
  readonly body?: object | undefined;
}

export interface Reply {
  readonly code: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** Sends a request. Rejects when there is no whole answer. */
export function ask({ token, body, ...options }: Asked): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: "127.0.0.1", method: body === undefined ? "GET" : "POST", agent: false },
      ...options,
      headers: {
        ...token === undefined ? {} : { authorization: `Bearer ${token}` },
        ...body === undefined ? {} : { "content-type": "application/json" },
      },
    }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
      answer.on("end", () => resolve({ code: answer.statusCode ?? 0, headers: answer.headers, text }));
      answer.on("error", reject);
    });
    sent.on("timeout", () => sent.destroy(new Error("the server does not answer")));
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
