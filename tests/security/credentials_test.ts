/** Authentication by bootstrap tokens and certificates, and without credentials (apiserver `pkg/authentication`). */
import assert from "node:assert/strict";
import { request } from "node:https";
import { test } from "node:test";
import { issuePair } from "../../instance/authority/issue_pair.ts";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import { type Authority, createAuthority, parseAuthority } from "../../core/pki/authority/authority.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { createIssuingCa } from "../support/issuing_ca.ts";
import type { TestedServer } from "../support/privilege/callers.ts";
import type { Identity } from "../support/privilege/identities.ts";
import { bearer, certified, CSRS, describeTestedInstance } from "../support/privilege/tested_instance.ts";

const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const WHOAMI = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
const anonymous: Identity = { name: "anonymous", is: "no user", credential: { kind: "none" } };
const HOUR_MS = 3_600_000;

/** The changes to a valid Secret; `null` removes a key. */
interface TokenRow {
  readonly name: string;
  readonly data?: Readonly<Record<string, string | null>>;
  readonly metadata?: object;
  readonly type?: string;
  readonly secretName?: string;
  /** The presented token, instead of the one in the Secret. */
  readonly presented?: (id: string, secret: string) => string;
  /** The groups of the user; undefined for a 401. */
  readonly groups?: readonly string[];
}

const DEFAULT = "system:bootstrappers";
const ROWS: readonly TokenRow[] = [
  { name: "that is valid", groups: [DEFAULT] },
  {
    name: "with another group",
    data: { "auth-extra-groups": "system:bootstrappers:foo" },
    groups: [DEFAULT, "system:bootstrappers:foo"],
  },
  { name: "with a group outside system:bootstrappers", data: { "auth-extra-groups": "foo" } },
  {
    name: "with system:masters among its groups",
    data: { "auth-extra-groups": "system:bootstrappers:a,system:masters" },
  },
  {
    name: "with a space before a group",
    data: { "auth-extra-groups": "system:bootstrappers:a, system:bootstrappers:b" },
  },
  { name: "with a line break after its group", data: { "auth-extra-groups": "system:bootstrappers:a\n" } },
  { name: "in a Secret with another name", secretName: "bootstrap-token-elsewh" },
  { name: "without its usage", data: { "usage-bootstrap-authentication": null } },
  { name: "whose usage is True", data: { "usage-bootstrap-authentication": "True" } },
  { name: "with another id in its Secret", data: { "token-id": "aaaaaa" } },
  { name: "that expired", data: { expiration: "2009-11-10T23:00:00Z" } },
  { name: "that expires in the far future", data: { expiration: "2109-11-10T23:00:00Z" }, groups: [DEFAULT] },
  { name: "whose expiration cannot be read", data: { expiration: "tomorrow" } },
  { name: "in a Secret of another type", type: "Opaque" },
  { name: "that is being deleted", metadata: { finalizers: ["example.com/wait"] } },
  {
    name: "with a secret that differs in its last character",
    presented: (id, secret) => `${id}.${secret.slice(0, 15)}0`,
  },
  { name: "with a truncated secret", presented: (id, secret) => `${id}.${secret.slice(0, 15)}` },
  { name: "with an empty stored secret", data: { "token-secret": "" } },
  { name: "in upper case", presented: (id, secret) => `${id}.${secret}`.toUpperCase() },
  { name: "with trailing characters", presented: (id, secret) => `${id}.${secret}.x` },
  { name: "with another token's id", presented: (_, secret) => `aaaaaa.${secret}` },
];

const SECRET = "0123456789abcdef";
const toTokenId = (index: number): string => `tok${String(index).padStart(3, "0")}`;
const presentedBy = (index: number): Identity => {
  const id = toTokenId(index);
  return bearer(ROWS[index]?.presented?.(id, SECRET) ?? `${id}.${SECRET}`);
};
const deleted = bearer(`gonego.${SECRET}`);
const unprivileged = bearer(`helper.${SECRET}`);
const wrong = bearer("wrong");

function createTokenSecret(id: string, row: TokenRow): object {
  const data = { "token-id": id, "token-secret": SECRET, "usage-bootstrap-authentication": "true", ...row.data };
  return {
    metadata: { name: row.secretName ?? `bootstrap-token-${id}`, ...row.metadata },
    type: row.type ?? "bootstrap.kubernetes.io/token",
    stringData: Object.fromEntries(Object.entries(data).filter(([, value]) => value !== null)),
  };
}

/** Certificates of `system:masters` with one fault each. */
const CERTIFICATES: readonly {
  readonly name: string;
  readonly code: number;
  issue(own: Authority): Promise<{ readonly cert: string; readonly key: string }>;
}[] = [
  { name: "that is valid", code: 200, issue: (own) => issueMasters(own) },
  { name: "of another CA", code: 401, issue: async () => issueMasters((await createIssuingCa(new Date())).authority) },
  {
    name: "of another CA with the same name",
    code: 401,
    async issue(own) {
      const commonName = own.certificate.subject.commonName;
      return issueMasters((await createIssuingCa(new Date(), commonName)).authority);
    },
  },
  {
    name: "for servers only",
    code: 401,
    issue: (own) => issueMasters(own, { usages: ["digital signature", "server auth"] }),
  },
  { name: "that has expired", code: 401, issue: (own) => issueMasters(own, {}, -2 * HOUR_MS) },
  { name: "that is not valid yet", code: 401, issue: (own) => issueMasters(own, {}, 2 * HOUR_MS) },
  { name: "that is self-signed", code: 401, issue: () => issueSelfSigned() },
];

async function issueMasters(
  authority: Authority,
  edit: { readonly usages?: readonly string[] } = {},
  offsetMs = 0,
): Promise<{ readonly cert: string; readonly key: string }> {
  const clock = createSystemClock();
  const now = new Date(clock.now().getTime() + offsetMs);
  const { certificatePem, keyPem } = await issuePair(authority, {
    subject: { commonName: "intruder", organizations: ["system:masters"] },
    usages: ["digital signature", "client auth"],
    lifetimeMs: HOUR_MS,
    ...edit,
  }, { clock: { now: () => now }, random: createSystemRandom() });
  return { cert: certificatePem, key: keyPem.reveal() };
}

async function issueSelfSigned(): Promise<{ readonly cert: string; readonly key: string }> {
  const key = await generatePrivateKey("ecdsa-p256");
  const { certificatePem } = await createAuthority({
    commonName: "system:masters",
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + HOUR_MS),
    key,
    serial: Uint8Array.of(1),
  });
  return { cert: certificatePem, key: key.toPem() };
}

function requestCode(
  { port, servingCaPem }: TestedServer,
  pair: { readonly cert: string; readonly key: string },
  authorization?: string,
): Promise<number> {
  return new Promise((resolve, reject) => {
    request({
      ...{ host: "127.0.0.1", port, path: SECRETS, ca: servingCaPem, agent: false, ...pair },
      headers: authorization === undefined ? {} : { authorization },
    }, (response) => {
      response.resume().once("end", () => resolve(response.statusCode ?? 0));
    }).once("error", reject).end();
  });
}

describeTestedInstance("credentials", [
  anonymous,
  deleted,
  unprivileged,
  wrong,
  certified("alice"),
  ...ROWS.map((_, index) => presentedBy(index)),
], (instance) => {
  for (const [index, row] of ROWS.entries()) {
    test(`a bootstrap token ${row.name} ${row.groups === undefined ? "gets 401" : "is accepted"}`, async () => {
      await instance.admin("POST", SECRETS, createTokenSecret(toTokenId(index), row));
      if (row.metadata !== undefined) await instance.admin("DELETE", `${SECRETS}/bootstrap-token-${toTokenId(index)}`);
      const reply = await instance.as(presentedBy(index), "POST", WHOAMI, {});
      if (row.groups === undefined) return assert.equal(reply.code, 401, reply.text);
      // No role is bound to these groups, so the token may only request its own user.
      assert.equal(reply.code, 201, reply.text);
      assert.equal(reply.at("status/userInfo/username"), `system:bootstrap:${toTokenId(index)}`);
      assert.deepEqual(reply.at("status/userInfo/groups"), [...row.groups, "system:authenticated"]);
      assert.equal((await instance.as(presentedBy(index), "GET", CSRS)).code, 403);
    });
  }

  test("a deleted bootstrap token is refused at once, also on an open connection", async () => {
    await instance.admin("POST", SECRETS, createTokenSecret("gonego", { name: "" }));
    assert.equal((await instance.as(deleted, "POST", WHOAMI, {})).code, 201);
    await instance.admin("DELETE", `${SECRETS}/bootstrap-token-gonego`);
    assert.equal((await instance.as(deleted, "POST", WHOAMI, {})).code, 401);
  });

  for (const path of ["/api", "/api/v1", "/apis", "/openapi/v3", "/metrics", "/", CSRS, SECRETS, "/healthz/ping"]) {
    test(`an anonymous client may not GET ${path}, and a wrong token gets 401`, async () => {
      assert.equal((await instance.as(anonymous, "GET", path)).code, 403);
      const reply = await instance.as(wrong, "GET", path);
      assert.equal(reply.code, 401, "wrong credentials never become anonymous");
      assert.equal(reply.message, "Unauthorized");
    });
  }

  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    test(`an anonymous client may GET ${path}, and a wrong token gets 401`, async () => {
      assert.equal((await instance.as(anonymous, "GET", path)).code, 200);
      assert.equal((await instance.as(wrong, "GET", path)).code, 401);
    });
  }

  describeTestedInstance(
    "with --anonymous-auth=false",
    [anonymous],
    (closed) =>
      test("an anonymous client gets 401", async () => {
        for (const path of ["/healthz", "/version", "/api", CSRS]) {
          assert.equal((await closed.as(anonymous, "GET", path)).code, 401, path);
        }
      }),
    ["--anonymous-auth=false"],
  );

  for (const { name, code, issue } of CERTIFICATES) {
    test(`a certificate of system:masters ${name} gets ${code}`, async () => {
      const own = await parseAuthority(instance.server.clientCaPem, instance.server.clientCaKeyPem);
      assert.ok(own.ok);
      assert.equal(await requestCode(instance.server, await issue(own.value)), code);
    });
  }

  test("a valid certificate takes precedence over an invalid token, and a valid token is accepted with an invalid certificate", async () => {
    const own = await parseAuthority(instance.server.clientCaPem, instance.server.clientCaKeyPem);
    assert.ok(own.ok);
    assert.equal(await requestCode(instance.server, await issueMasters(own.value), "Bearer wrong"), 200);
    await instance.admin("POST", SECRETS, createTokenSecret("helper", { name: "" }));
    const foreign = await issueMasters((await createIssuingCa(new Date())).authority);
    assert.equal(
      await requestCode(instance.server, foreign, `Bearer helper.${SECRET}`),
      403,
      "the token's user is authenticated but not allowed",
    );
  });
});
