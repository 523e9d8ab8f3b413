/** A server with one seat for each level, over real TLS sockets: a request without a seat is refused as by Kubernetes. */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { test } from "node:test";
import { parseTokenFile } from "../../core/bootstrap/token_file.ts";
import { startServer } from "../../server/server.ts";
import { createMemoryStorage } from "../../server/storage/memory/memory_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { ask as askHttp1, type Asked, type Reply } from "../support/https_request.ts";
import { createImpatientClock } from "../support/impatient_clock.ts";
import { createIssuingCa, issueServing } from "../support/issuing_ca.ts";
import { memoryServerOptions } from "../support/memory_server.ts";
import { CSRS } from "./asking.ts";

const BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const TOKENS = `flood-token,flood,1,system:monitoring
other-token,other,2,system:monitoring
admin-token,admin,3,"system:masters"
`;
const ALL_MAY_READ = {
  metadata: { name: "all" },
  subjects: [{ kind: "Group", name: "system:authenticated", apiGroup: "rbac.authorization.k8s.io" }],
  roleRef: { kind: "ClusterRole", name: "cluster-admin", apiGroup: "rbac.authorization.k8s.io" },
};
/** A quarter of the request timeout (apiserver `pkg/server/options/server_run_options.go`, 60 s). */
const WAIT_MS = 15_000;

/** Sends a request over a new connection. */
type Ask = (question: Pick<Asked, "path" | "token" | "body">) => Promise<Reply>;

/** A server whose seat for users is occupied until `free` is called. */
interface FullServer extends AsyncDisposable {
  readonly ask: Readonly<Record<"HTTP/1.1" | "HTTP/2", Ask>>;
  free(): void;
  /** The answer to the request that occupies the seat. */
  readonly seated: Promise<Reply>;
}

/** Starts the server. A list of CSRs occupies the seat, and the wait for a seat times out at once. */
async function startFull(): Promise<FullServer> {
  const clock = createFakeClock(new Date());
  const ca = await createIssuingCa(clock.now());
  const { certificatePem, keyPem } = await issueServing(ca);
  const tokenFile = parseTokenFile(TOKENS, "tokens.csv");
  assert.ok(tokenFile.ok);
  const memory = createMemoryStorage({ clock });
  const [taken, freed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isUp = false;
  const storage = listingLate(memory, async (prefix) => {
    if (!isUp || !prefix.includes("certificatesigningrequests")) return;
    taken.resolve();
    await freed.promise;
  });
  const server = await startServer(memoryServerOptions(createImpatientClock(clock, WAIT_MS, WAIT_MS), {
    storage,
    serving: { certificatePem, privateKeyPem: keyPem },
    clientCaPem: ca.caPem,
    tokenFile: tokenFile.value,
    maxRequestsInflight: 1,
  }));
  const { port } = server;
  const ask = {
    "HTTP/1.1": (question: Asked) => askHttp1({ ...question, port, ca: ca.caPem }),
    "HTTP/2": (question: Asked) => askHttp2({ ...question, port, ca: ca.caPem }),
  };
  const bound = await ask["HTTP/1.1"]({ path: BINDINGS, token: "admin-token", body: ALL_MAY_READ });
  assert.equal(bound.code, 201, bound.text);
  isUp = true;
  const seated = ask["HTTP/1.1"]({ path: CSRS, token: "flood-token" });
  await taken.promise;
  return {
    ask,
    free: () => freed.resolve(),
    seated,
    async [Symbol.asyncDispose]() {
      freed.resolve();
      await seated;
      await server[Symbol.asyncDispose]();
      await memory[Symbol.asyncDispose]();
    },
  };
}

/** Creates a storage that waits before it lists. */
function listingLate(storage: Storage, before: (prefix: string) => Promise<void>): Storage {
  const list: Storage["list"] = async (prefix, options) => {
    await before(prefix);
    return await storage.list(prefix, options);
  };
  return new Proxy(storage, {
    get(target, name) {
      if (name === "list") return list;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

function askHttp2({ path, token, port, ca }: Asked): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2(`https://127.0.0.1:${port}`, { ca: ca! });
    session.on("error", reject);
    const stream = session.request({
      ":path": path!,
      ...token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    let [headers, text]: [Reply["headers"], string] = [{}, ""];
    stream.on("response", (received) => headers = received);
    stream.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
    stream.on("error", reject);
    stream.on("end", () => {
      session.close();
      resolve({ code: Number(headers[":status"]), headers, text });
    });
    stream.end();
  });
}

for (const protocol of ["HTTP/1.1", "HTTP/2"] as const) {
  test(`tlsboot answers 429 with Retry-After over ${protocol} after a wait without a seat`, async () => {
    await using full = await startFull();
    const { code, headers, text } = await full.ask[protocol]({ path: "/version", token: "other-token" });
    assert.equal(code, 429);
    assert.deepEqual(
      ["retry-after", "content-type", "x-content-type-options", "cache-control"].map((name) => headers[name]),
      ["1", "text/plain; charset=utf-8", "nosniff", "no-cache, private"],
    );
    assert.equal(text, "Too many requests, please try again later.\n");
  });

  test(`tlsboot answers health checks and administrators over ${protocol} while there is no seat`, async () => {
    await using full = await startFull();
    const ask = full.ask[protocol];
    for (const path of ["/healthz", "/readyz", "/livez"]) {
      for (const token of [undefined, "flood-token"]) {
        const { code, text } = await ask({ path, token });
        assert.deepEqual([path, token, code, text], [path, token, 200, "ok"]);
      }
    }
    assert.equal((await ask({ path: "/version", token: "admin-token" })).code, 200);
    assert.equal((await ask({ path: "/version", token: "flood-token" })).code, 429);
    full.free();
    assert.equal((await full.seated).code, 200);
    assert.equal((await ask({ path: "/version", token: "flood-token" })).code, 200);
  });
}
