/** A running `tlsboot serve` for tests that send requests as different users. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { before } from "node:test";
import { describeFate, describeInstance, type SharedInstance } from "../instance_process.ts";
import { valueAt } from "../test_app.ts";
import { type Call, createCallers, type TestedServer } from "./callers.ts";
import { type Identity, MASTERS } from "./identities.ts";

/** A reply, with access to its JSON. */
export interface TestedReply {
  readonly code: number;
  readonly text: string;
  readonly message: string;
  /** Returns a value of the JSON body by its path, such as `spec/username`. */
  at(path: string): unknown;
}

/** The server, and a way to send it requests as any identity. */
export interface TestedInstance {
  readonly server: TestedServer;
  /** The process of the server: that of the test, or a child. */
  readonly pid: number;
  readonly stderr: () => string;
  as(identity: Identity, method: string, path: string, body?: unknown, more?: Partial<Call>): Promise<TestedReply>;
  /** Sends a request as the administrator, which must succeed. */
  admin(method: string, path: string, body?: unknown, more?: Partial<Call>): Promise<TestedReply>;
  /** Creates a ClusterRole with these rules and binds it to a user. */
  grant(user: string, ...rules: readonly object[]): Promise<void>;
}

export const RBAC = "/apis/rbac.authorization.k8s.io/v1";
export const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** The content type of merge patches. */
export const MERGE = { contentType: "application/merge-patch+json" } as const;

export function certified(name: string, ...organizations: readonly string[]): Identity {
  return { name, is: name, credential: { kind: "certificate", commonName: name, organizations } };
}

/** An identity with a bearer token. */
export function bearer(token: string): Identity {
  return { name: token, is: "a token", credential: { kind: "token", token } };
}

/** A user with a bootstrap token, and the header of handwritten requests. */
export const READER: Identity = bearer("reader.0123456789abcdef");
export const READER_HEADER = `Authorization: Bearer ${READER.name}`;

/** Creates the token of the reader. */
export async function createReader({ admin }: TestedInstance): Promise<void> {
  const [id = "", secret = ""] = READER.name.split(".");
  await admin("POST", "/api/v1/namespaces/kube-system/secrets", {
    metadata: { name: `bootstrap-token-${id}` },
    type: "bootstrap.kubernetes.io/token",
    stringData: { "token-id": id, "token-secret": secret, "usage-bootstrap-authentication": "true" },
  });
}

/**
 * Declares tests that share an instance for these identities and the administrator. The instance has its properties only
 * when the tests run.
 */
export function describeTestedInstance(
  title: string,
  identities: readonly Identity[],
  declare: (instance: TestedInstance) => void,
  args: readonly string[] = [],
): void {
  describeInstance(title, { args, command: "serve" }, (instance) => {
    const shared = {} as TestedInstance;
    before(async () => void Object.assign(shared, await createTestedInstance(instance, identities)));
    declare(shared);
  });
}

async function createTestedInstance(
  instance: SharedInstance,
  identities: readonly Identity[],
): Promise<TestedInstance> {
  const [caPem = "", clientCaKeyPem = ""] = await Promise.all(
    ["ca.crt", "ca.key"].map((name) => readFile(`${instance.data}/pki/${name}`, "utf8")),
  );
  const server = { port: instance.port, servingCaPem: caPem, clientCaPem: caPem, clientCaKeyPem };
  const callers = instance.use(await createCallers(server, [MASTERS, ...identities]));
  const as: TestedInstance["as"] = async (identity, method, path, body, more = {}) => {
    const { code, text } = await callers.call(identity, { method, path, body, ...more }).catch(async (error) => {
      throw new Error(`${method} ${path}: no answer; ${await describeFate(instance)}`, { cause: error });
    });
    const at = (path: string): unknown => valueAt(JSON.parse(text), path);
    return { code, text, at, message: text.startsWith("{") ? String(at("message")) : text };
  };
  const admin: TestedInstance["admin"] = async (method, path, body, more) => {
    const reply = await as(MASTERS, method, path, body, more);
    assert.ok(reply.code < 300, `${method} ${path}: ${reply.code} ${reply.text}`);
    return reply;
  };
  return {
    server,
    pid: "pid" in instance.running ? instance.running.pid as number : process.pid,
    stderr: () => instance.running.stderr(),
    as,
    admin,
    async grant(user, ...rules) {
      const name = `test:${user}`;
      const apiGroup = "rbac.authorization.k8s.io";
      await admin("POST", `${RBAC}/clusterroles`, { metadata: { name }, rules });
      await admin("POST", `${RBAC}/clusterrolebindings`, {
        metadata: { name },
        roleRef: { apiGroup, kind: "ClusterRole", name },
        subjects: [{ apiGroup, kind: "User", name: user }],
      });
    },
  };
}
