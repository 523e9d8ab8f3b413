/** The whole API in memory, with a fake clock and without sockets. The test chooses the user of each request. */
import { DEFAULT_AUDIT_POLICY } from "../../core/audit/policy.ts";
import { fromRequest, toResponse } from "../../server/loopback.ts";
import type { PeerCertificate } from "../../server/authn/authentication.ts";
import { type Api, type ApiOptions, createApi } from "../../server/server.ts";
import { STORED_RESOURCES } from "../../server/registry/resources.ts";
import { createStoredValues } from "../../server/registry/stored_values.ts";
import { createMemoryStorage } from "../../server/storage/memory/journaled_storage.ts";
import type { Storage } from "../../server/storage/storage.ts";
import { GIT_VERSION } from "../../core/version.ts";
import { AUTHENTICATED_GROUP, MASTERS_GROUP, type UserInfo } from "../../core/kube/user.ts";
import { createFakeClock, type FakeClock } from "./fake_clock.ts";
import { createMemoryLogger, type MemoryLogger } from "./memory_logger.ts";
import { createSeededRandom } from "./seeded_random.ts";

/** The optional parts of a request. */
export interface TestRequest {
  /** An in-process user; undefined sends the request through authentication. */
  readonly user?: UserInfo | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body?: object | string | Uint8Array<ArrayBuffer>;
  readonly rawHeaders?: readonly string[];
  readonly peer?: PeerCertificate;
  readonly signal?: AbortSignal;
}

/** An answer that has been read to its end. */
export interface Answer {
  readonly code: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** Returns the value at a path of the JSON body, such as `items/0/metadata/name`; undefined if there is none. */
  at(path: string): unknown;
  /** Returns the names of the items of a list. */
  names(): readonly string[];
}

/** One event of a watch. */
interface EventView {
  readonly type: string;
  /** Returns the value at a path of the object. */
  at(path: string): unknown;
}

/** Follows a path of keys and indices, separated by `/`. */
export function valueAt(value: unknown, path: string): unknown {
  return path.split("/").reduce<unknown>(
    (inside, key) => typeof inside === "object" && inside !== null ? Reflect.get(inside, key) : undefined,
    value,
  );
}

/** The API and its dependencies. */
export interface TestApp extends AsyncDisposable {
  readonly api: Api;
  readonly storage: Storage;
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  readonly auditLines: readonly string[];
  /** Sends a request, by default as the admin. */
  send(method: string, path: string, request?: TestRequest): Promise<Answer>;
  /** Sends a request without reading the body of the answer, for watches. */
  open(method: string, path: string, request?: TestRequest): Promise<Response>;
}

/** A user in the group system:masters. */
export const ADMIN: UserInfo = createUser("admin", MASTERS_GROUP);

/** Creates an authenticated user in some groups. */
export function createUser(username: string, ...groups: readonly string[]): UserInfo {
  return { username, uid: "", groups: [...groups, AUTHENTICATED_GROUP], extra: {} };
}

/** Builds a test app over an empty store. */
export async function createTestApp(
  { clock = createFakeClock(), ...options }: Partial<ApiOptions> & { readonly clock?: FakeClock } = {},
): Promise<TestApp> {
  const logger = createMemoryLogger();
  const storage = options.storage ?? createMemoryStorage({ clock, values: createStoredValues(STORED_RESOURCES) });
  const auditLines: string[] = [];
  const api = await createApi({
    storage,
    clock,
    random: createSeededRandom(),
    logger,
    clientCas: () => [],
    tokenFile: undefined,
    bootstrapTokens: true,
    anonymous: true,
    audit: { policy: DEFAULT_AUDIT_POLICY, sink: { write: (line) => auditLines.push(line) > 0 } },
    version: { major: "1", minor: "37", gitVersion: GIT_VERSION },
    objects: [],
    serverAddress: () => "127.0.0.1:6443",
    ...options,
  });
  const open: TestApp["open"] = async (method, path, request = {}) => {
    const { headers = {}, body, rawHeaders = [], signal } = request;
    const user = "user" in request ? request.user : ADMIN;
    const isObject = typeof body === "object" && !(body instanceof Uint8Array);
    const sent = isObject ? JSON.stringify(body) : body;
    const type = sent === undefined ? {} : { "content-type": "application/json" };
    const fetched = new Request(`https://api.test${path}`, {
      method,
      ...(sent === undefined ? {} : { body: sent }),
      ...(signal === undefined ? {} : { signal }),
    });
    const answer = await api.app({
      ...fromRequest(fetched, { peer: request.peer, remoteAddress: "192.0.2.1", user }),
      rawHeaders: [...Object.entries({ ...type, ...headers }).flat(), ...rawHeaders],
      target: path,
    });
    return toResponse(answer);
  };
  return {
    api,
    storage,
    clock,
    logger,
    auditLines,
    open,
    async send(method, path, request) {
      const response = await open(method, path, request);
      const bytes = new Uint8Array(await response.arrayBuffer());
      const text = new TextDecoder().decode(bytes);
      const at = (path: string) => valueAt(JSON.parse(text), path);
      const names = () => (at("items") as readonly unknown[]).map((item) => String(valueAt(item, "metadata/name")));
      return { code: response.status, headers: response.headers, bytes, text, at, names };
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
}

/** Reads the lines of a watch as they arrive. */
export class WatchReader implements AsyncDisposable {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #rest = "";

  constructor(response: Response) {
    if (response.body === null) throw new Error("the watch has no body");
    this.#reader = response.body.getReader();
  }

  /** Reads the next event; undefined at the end of the stream. */
  async next(): Promise<EventView | undefined> {
    while (!this.#rest.includes("\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#rest += this.#decoder.decode(value, { stream: true });
    }
    const [line = "", ...more] = this.#rest.split("\n");
    this.#rest = more.join("\n");
    const event: unknown = JSON.parse(line);
    return { type: String(valueAt(event, "type")), at: (path) => valueAt(event, `object/${path}`) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#reader.cancel();
  }
}
