import assert from "node:assert/strict";
import { test } from "node:test";
import { Secret as Hidden } from "../lib/brand.ts";
import type { SecretObject } from "../kube/kinds/core_v1.ts";
import { encodeBase64 } from "../lib/encodings.ts";
import {
  createTokenSecret,
  decideTokenCleaning,
  decideTokenSecret,
  decodeSecretValue,
  findTokenId,
  formatBootstrapToken,
  generateBootstrapToken,
  listTokenFacts,
  parseBootstrapToken,
  parseRfc3339,
} from "./token_secret.ts";
import { inspect } from "node:util";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";

const now = new Date("2026-11-25T00:00:00Z");
const token = { id: "foobar", secret: new Hidden("circumnavigation") };
const GOOD = {
  "token-id": "foobar",
  "token-secret": "circumnavigation",
  "usage-bootstrap-authentication": "true",
};

function createSecret(data: Readonly<Record<string, string>>, edit: Partial<SecretObject> = {}): SecretObject {
  const encoded = Object.entries(data).map(([key, value]) => [key, encodeBase64(new TextEncoder().encode(value))]);
  return {
    metadata: { name: "bootstrap-token-foobar", namespace: "kube-system" },
    type: "bootstrap.kubernetes.io/token",
    data: Object.fromEntries(encoded),
    ...edit,
  };
}

const MATCHING = "Bootstrap secret kube-system/bootstrap-token-foobar matching bearer token";

/**
 * Cases of `plugin/pkg/auth/authenticator/token/bootstrap/bootstrap_test.go` and
 * `cluster-bootstrap/util/secrets/secrets_test.go`.
 */
const cases: readonly {
  name: string;
  secret: SecretObject | undefined;
  want: { groups: readonly string[] } | { log: string };
}[] = [
  { name: "valid", secret: createSecret(GOOD), want: { groups: ["system:bootstrappers"] } },
  {
    name: "extra group",
    secret: createSecret({ ...GOOD, "auth-extra-groups": "system:bootstrappers:foo" }),
    want: { groups: ["system:bootstrappers", "system:bootstrappers:foo"] },
  },
  {
    name: "groups unsorted and twice",
    secret: createSecret({
      ...GOOD,
      "auth-extra-groups": "system:bootstrappers:b,system:bootstrappers:a,system:bootstrappers:b",
    }),
    want: { groups: ["system:bootstrappers", "system:bootstrappers:a", "system:bootstrappers:b"] },
  },
  {
    name: "empty groups",
    secret: createSecret({ ...GOOD, "auth-extra-groups": "" }),
    want: { groups: ["system:bootstrappers"] },
  },
  {
    name: "foreign group",
    secret: createSecret({ ...GOOD, "auth-extra-groups": "foo" }),
    want: {
      log: `${MATCHING} has invalid value for key auth-extra-groups: bootstrap group "foo" is invalid (must match ` +
        "\\Asystem:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]\\z).",
    },
  },
  {
    name: "a space among the groups",
    secret: createSecret({ ...GOOD, "auth-extra-groups": "system:bootstrappers:a, system:bootstrappers:b" }),
    want: { log: "auth-extra-groups" },
  },
  {
    name: "an empty item among the groups",
    secret: createSecret({ ...GOOD, "auth-extra-groups": "system:bootstrappers:a," }),
    want: { log: "auth-extra-groups" },
  },
  {
    name: "no secret",
    secret: undefined,
    want: { log: "No secret of name bootstrap-token-foobar to match bootstrap bearer token" },
  },
  {
    name: "no usage",
    secret: createSecret({ "token-id": "foobar", "token-secret": "circumnavigation" }),
    want: { log: `${MATCHING} not marked usage-bootstrap-authentication=true.` },
  },
  {
    name: "another usage value",
    secret: createSecret({ ...GOOD, "usage-bootstrap-authentication": "True" }),
    want: { log: `${MATCHING} not marked usage-bootstrap-authentication=true.` },
  },
  {
    name: "another id",
    secret: createSecret({ ...GOOD, "token-id": "fedcba" }),
    want: { log: `${MATCHING} has invalid value for key token-id.` },
  },
  {
    name: "another secret",
    secret: createSecret({ ...GOOD, "token-secret": "circumnavigatioN" }),
    want: { log: `${MATCHING} has invalid value for key token-secret.` },
  },
  {
    name: "a byte order mark before the id",
    secret: createSecret({ ...GOOD, "token-id": "\ufefffoobar" }),
    want: { log: `${MATCHING} has invalid value for key token-id.` },
  },
  {
    name: "another type",
    secret: createSecret(GOOD, { type: "Opaque" }),
    want: { log: `${MATCHING} has invalid type, expected bootstrap.kubernetes.io/token.` },
  },
  {
    name: "being deleted",
    secret: createSecret(GOOD, {
      metadata: {
        name: "bootstrap-token-foobar",
        namespace: "kube-system",
        deletionTimestamp: "2026-11-24T00:00:00Z",
      },
    }),
    want: { log: `${MATCHING} is deleted and awaiting removal` },
  },
  {
    name: "expired long ago",
    secret: createSecret({ ...GOOD, expiration: "2009-11-10T23:00:00Z" }),
    want: { log: "Expired bootstrap token in kube-system/bootstrap-token-foobar Secret: 2009-11-10T23:00:00Z" },
  },
  {
    name: "expiring this moment",
    secret: createSecret({ ...GOOD, expiration: "2026-11-25T01:00:00+01:00" }),
    want: { log: "Expired bootstrap token in kube-system/bootstrap-token-foobar Secret: 2026-11-25T01:00:00+01:00" },
  },
  {
    name: "expiring far away",
    secret: createSecret({ ...GOOD, expiration: "2109-11-10T23:00:00Z" }),
    want: { groups: ["system:bootstrappers"] },
  },
  {
    name: "unreadable expiration",
    secret: createSecret({ ...GOOD, expiration: "tomorrow" }),
    want: { log: "Unparseable expiration time (tomorrow) in kube-system/bootstrap-token-foobar Secret" },
  },
];

for (const { name, secret, want } of cases) {
  test(`decideTokenSecret() ${"groups" in want ? "accepts" : "refuses"}: ${name}`, () => {
    const decided = decideTokenSecret(secret, token, now);
    if ("groups" in want) {
      assert.deepEqual(decided, { ok: true, value: { username: "system:bootstrap:foobar", groups: want.groups } });
      return;
    }
    assert.ok(!decided.ok);
    assert.ok(decided.error.includes(want.log), decided.error);
    assert.ok(!decided.error.includes("circumnavigation"), "the log text holds a secret");
  });
}

test("decideTokenSecret() refuses a Secret without data as one of another type", () => {
  const { data: _data, ...bare } = createSecret(GOOD);
  const decided = decideTokenSecret(bare, token, now);
  assert.ok(!decided.ok && decided.error.includes("has invalid type"));
});

test("createTokenSecret() encodes what kubeadm does, keys sorted, and is accepted", () => {
  const secret = createTokenSecret({
    token,
    expiration: new Date("2026-11-26T00:00:00.750Z"),
    usages: ["signing", "authentication"],
    groups: ["system:bootstrappers:b", "system:bootstrappers:a"],
    description: "nodes",
  });
  assert.deepEqual(secret.metadata, { name: "bootstrap-token-foobar", namespace: "kube-system" });
  assert.deepEqual(
    Object.keys(secret.data ?? {}).map((key) => [key, decodeSecretValue(secret, key)]),
    [
      ["auth-extra-groups", "system:bootstrappers:b,system:bootstrappers:a"],
      ["description", "nodes"],
      ["expiration", "2026-11-26T00:00:00Z"],
      ["token-id", "foobar"],
      ["token-secret", "circumnavigation"],
      ["usage-bootstrap-authentication", "true"],
      ["usage-bootstrap-signing", "true"],
    ],
  );
  assert.ok(decideTokenSecret(secret, token, now).ok);
});

test("listTokenFacts() parses what createTokenSecret() has created", () => {
  const bare = createTokenSecret({ token, usages: [], groups: [], description: "" });
  assert.deepEqual(Object.keys(bare.data ?? {}), ["token-id", "token-secret"]);
  assert.deepEqual(listTokenFacts(bare), {
    id: "foobar",
    token,
    expiration: { kind: "never" },
    usages: [],
    groups: [],
    description: "",
  });
  const expiration = new Date("2026-11-26T00:00:00Z");
  const full = createTokenSecret({
    token,
    expiration,
    usages: ["signing"],
    groups: ["system:bootstrappers:a"],
    description: "d",
  });
  const facts = listTokenFacts(full);
  assert.deepEqual(facts?.expiration, { kind: "at", at: expiration });
  assert.deepEqual([facts?.usages, facts?.groups, facts?.description], [["signing"], ["system:bootstrappers:a"], "d"]);
});

test("listTokenFacts() lists the usages that are true", () => {
  const usages = { "usage-bootstrap-signing": "false", "usage-bootstrap-authentication": "true", description: "true" };
  assert.deepEqual(listTokenFacts(createSecret({ ...GOOD, ...usages }))?.usages, ["authentication"]);
});

test("listTokenFacts() skips Secrets of another type or name, and keeps broken tokens visible", () => {
  assert.equal(listTokenFacts(createSecret(GOOD, { type: "Opaque" })), undefined);
  assert.equal(listTokenFacts(createSecret(GOOD, { metadata: { name: "other" } })), undefined);
  const broken = listTokenFacts(createSecret({ ...GOOD, "token-secret": "short", expiration: "soon" }));
  assert.equal(broken?.token, undefined);
  assert.deepEqual(broken?.expiration, { kind: "unreadable", text: "soon" });
});

const NOW = new Date("2026-06-01T00:00:00Z");

function secretWith(expiration: string | undefined, edit: Partial<SecretObject> = {}): SecretObject {
  const data = expiration === undefined ? {} : { expiration: Buffer.from(expiration).toString("base64") };
  return {
    metadata: { name: "bootstrap-token-abcdef", namespace: "kube-system" },
    data,
    type: "bootstrap.kubernetes.io/token",
    ...edit,
  };
}

for (
  const { name, secret, want } of [
    { name: "no expiration", secret: secretWith(undefined), want: { kind: "keep" } },
    { name: "an empty expiration", secret: secretWith(""), want: { kind: "keep" } },
    { name: "expired", secret: secretWith("2009-01-01T00:00:00Z"), want: { kind: "delete" } },
    { name: "expires now", secret: secretWith("2026-06-01T00:00:00Z"), want: { kind: "delete" } },
    { name: "expires later", secret: secretWith("2026-06-01T00:00:01Z"), want: { kind: "later", ms: 1000 } },
    { name: "another zone", secret: secretWith("2026-06-01T02:00:01+02:00"), want: { kind: "later", ms: 1000 } },
    { name: "text that is not a time", secret: secretWith("tomorrow"), want: { kind: "delete" } },
    {
      name: "bytes that are not base64",
      secret: secretWith("x", { data: { expiration: "*" } }),
      want: { kind: "delete" },
    },
    { name: "another type", secret: secretWith("2009-01-01T00:00:00Z", { type: "Opaque" }), want: { kind: "keep" } },
    {
      name: "another namespace",
      secret: secretWith("2009-01-01T00:00:00Z", { metadata: { name: "x", namespace: "default" } }),
      want: { kind: "keep" },
    },
  ]
) {
  test(`decideTokenCleaning() answers ${want.kind}: ${name}`, () => {
    assert.deepEqual(decideTokenCleaning(secret, NOW), want);
  });
}

for (
  const { text, want } of [
    { text: "2026-06-01T00:00:00Z", want: "2026-06-01T00:00:00.000Z" },
    { text: "2026-06-01T00:00:00.123456789Z", want: "2026-06-01T00:00:00.123Z" },
    { text: "2026-06-01T00:00:00-01:30", want: "2026-06-01T01:30:00.000Z" },
    { text: "2026-02-30T00:00:00Z", want: undefined },
    { text: "2026-06-01 00:00:00Z", want: undefined },
    { text: "2026-06-01", want: undefined },
    { text: "2026-06-01T00:00:00", want: undefined },
    { text: "2026-06-01T25:00:00Z", want: undefined },
    { text: "2026-06-01T00:00:00+99:00", want: undefined },
    { text: "1 June 2026", want: undefined },
  ]
) {
  test(`parseRfc3339() reads ${text} as ${want ?? "nothing"}`, () => {
    assert.equal(parseRfc3339(text)?.toISOString(), want);
  });
}

for (
  const { username, want } of [
    { username: "system:bootstrap:abcdef", want: "abcdef" },
    { username: "system:bootstrap:abcdef\n", want: undefined },
    { username: "system:bootstrap:abcde", want: undefined },
    { username: "system:bootstrap:ABCDEF", want: undefined },
    { username: "xsystem:bootstrap:abcdef", want: undefined },
    { username: "system:node:abcdef", want: undefined },
  ]
) {
  test(`findTokenId() answers ${want} for ${JSON.stringify(username)}`, () => {
    assert.equal(findTokenId(username), want);
  });
}

for (
  const { text, want } of [
    { text: "foobar.circumnavigation", want: true },
    { text: "abcdef.0123456789abcdef", want: true },
    { text: "000000.0000000000000000", want: true },
    { text: "", want: false },
    { text: "abcdef", want: false },
    { text: "abcdef.", want: false },
    { text: ".0123456789abcdef", want: false },
    { text: "abc.0123456789abcdef", want: false },
    { text: "abcdef.0123456789abcde", want: false },
    { text: "abcdef.0123456789abcdef0", want: false },
    { text: "ABCDEF.0123456789abcdef", want: false },
    { text: "abcdef.0123456789ABCDEF", want: false },
    { text: "abcdef:0123456789abcdef", want: false },
    { text: "abcdef..123456789abcdef", want: false },
    { text: "abcde_.0123456789abcdef", want: false },
    { text: " abcdef.0123456789abcdef", want: false },
    { text: "abcdef.0123456789abcdef\n", want: false },
  ]
) {
  test(`parseBootstrapToken() ${want ? "reads" : "refuses"} ${JSON.stringify(text)}`, () => {
    const parsed = parseBootstrapToken(text);
    assert.equal(parsed.ok, want);
    if (parsed.ok) assert.equal(formatBootstrapToken(parsed.value), text);
    else if (text !== "" && text !== "abcdef") assert.ok(!parsed.error.includes(text), "the error repeats the text");
  });
}

test("generateBootstrapToken() makes valid tokens, no two alike", () => {
  const random = createSeededRandom(7);
  const texts = Array.from({ length: 100 }, () => formatBootstrapToken(generateBootstrapToken(random)));
  assert.ok(texts.every((text) => parseBootstrapToken(text).ok));
  assert.equal(new Set(texts).size, texts.length);
  assert.deepEqual(
    [...new Set(texts.join("").replaceAll(".", ""))].sort().join(""),
    "0123456789abcdefghijklmnopqrstuvwxyz",
  );
});

test("generateBootstrapToken() skips the bytes that would make some characters more likely", () => {
  let next = 250;
  const random = { float: () => 0, bytes: (length: number) => Uint8Array.from({ length }, () => next++) };
  // 250 and 251 are "y" and "z"; 252 to 255 are skipped, and 256 is the byte 0.
  assert.equal(formatBootstrapToken(generateBootstrapToken(random)), "yz0123.6789abcdefghijkl");
});

test("parseBootstrapToken() hides the secret from printing", () => {
  const parsed = parseBootstrapToken("abcdef.0123456789abcdef");
  assert.ok(!`${inspect(parsed)}${JSON.stringify(parsed)}`.includes("0123456789abcdef"));
});
