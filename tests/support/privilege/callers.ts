/** Sends requests as different identities, each with its own certificate or token and connection pool. */
import { Agent, request } from "node:https";
import { issueClientPair } from "../../../instance/authority/issue_pair.ts";
import { createSystemClock, createSystemRandom } from "../../../cli/system.ts";
import { parseAuthority } from "../../../core/pki/authority/authority.ts";
import { IDENTITIES, type Identity } from "./identities.ts";

/** A server under test, and the CA that it trusts for clients. */
export interface TestedServer {
  readonly port: number;
  readonly servingCaPem: string;
  readonly clientCaPem: string;
  readonly clientCaKeyPem: string;
}

export interface Call {
  readonly method: string;
  readonly path: string;
  readonly contentType?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Reply {
  readonly code: number;
  readonly text: string;
}

/** Sends requests as any of the identities. Disposing it closes every connection. */
export interface Callers extends Disposable {
  call(identity: Identity, call: Call): Promise<Reply>;
}

/** Issues the certificates of all identities. */
export async function createCallers(server: TestedServer, identities = IDENTITIES): Promise<Callers> {
  const authority = await parseAuthority(server.clientCaPem, server.clientCaKeyPem);
  if (!authority.ok) throw new Error(authority.error);
  const deps = { clock: createSystemClock(), random: createSystemRandom() };
  const agents = new Map<string, Agent>();
  for (const { name, credential } of identities) {
    const pair = credential.kind === "certificate"
      ? await issueClientPair(authority.value, { ...credential, lifetimeMs: 3_600_000 }, deps)
      : undefined;
    agents.set(
      name,
      new Agent({
        keepAlive: true,
        maxSockets: 4,
        ca: server.servingCaPem,
        ...(pair === undefined ? {} : { cert: pair.certificatePem, key: pair.keyPem.reveal() }),
      }),
    );
  }
  return {
    call: ({ name, credential, headers: own = {} }, { method, path, contentType, body, headers = {} }) =>
      new Promise((resolve, reject) => {
        const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
        const agent = agents.get(name);
        if (agent === undefined) throw new Error(`no identity is called ${name}`);
        const outgoing = request({
          host: "127.0.0.1",
          port: server.port,
          agent,
          method,
          path,
          headers: {
            ...(text === undefined ? {} : { "content-type": contentType ?? "application/json" }),
            ...(credential.kind === "token" ? { authorization: `Bearer ${credential.token}` } : {}),
            ...own,
            ...headers,
          },
        }, (response) => {
          let answer = "";
          response.setEncoding("utf8").on("data", (chunk: string) => void (answer += chunk));
          response.once("end", () => resolve({ code: response.statusCode ?? 0, text: answer })).once("error", reject);
        });
        outgoing.once("error", reject);
        outgoing.end(text);
      }),
    [Symbol.dispose]() {
      for (const agent of agents.values()) agent.destroy();
    },
  };
}
