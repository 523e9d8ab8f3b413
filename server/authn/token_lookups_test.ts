/** No authenticator looks up the token itself: the time of such a lookup reveals how close a guess was. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createTokenSecret, parseBootstrapToken, toTokenSecretName } from "../../core/token/token_secret.ts";
import { parseTokenFile, type TokenFile } from "../../core/token/token_file.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import type { TokenAuthenticator } from "./authentication.ts";
import { createBootstrapTokenAuthenticator, createTokenFileAuthenticator, parseBearerToken } from "./authenticator.ts";

/** Every method that looks up a string, or compares strings. */
const LOOKUPS: readonly (readonly [object, readonly string[]])[] = [
  [Map.prototype, ["get", "has", "set"]],
  [Set.prototype, ["has", "add"]],
  [Array.prototype, ["includes", "indexOf", "lastIndexOf"]],
  [String.prototype, ["startsWith", "endsWith", "includes", "indexOf", "localeCompare"]],
  [Object, ["is", "hasOwn"]],
];

/** Finds the methods that get a part of a secret as an argument while a function runs. */
async function findLookups(secret: string, run: () => Promise<unknown>): Promise<readonly string[]> {
  const found: string[] = [];
  const real = LOOKUPS.flatMap(([owner, names]) =>
    names.map((name) => ({ owner, name, property: Object.getOwnPropertyDescriptor(owner, name)! }))
  );
  const isPart = (value: unknown): boolean =>
    typeof value === "string" && value.length >= 8 && value.match(secret) !== null;
  for (const { owner, name, property } of real) {
    const { value: method } = property;
    Object.defineProperty(owner, name, {
      ...property,
      value(this: unknown, ...args: readonly unknown[]) {
        // The stored value of a Map is not a key.
        const keys = name === "set" ? args.slice(0, 1) : args;
        if (keys.some(isPart)) found.push(name);
        return Reflect.apply(method, this, args);
      },
    });
  }
  try {
    await run();
  } finally {
    for (const { owner, name, property } of real) Object.defineProperty(owner, name, property);
  }
  return found;
}

const STATIC = "an-operators-static-token";
const BOOTSTRAP_SECRET = "0123456789abcdef";
const BOOTSTRAP = `abcdef.${BOOTSTRAP_SECRET}`;

function tokenFile(): TokenFile {
  const file = parseTokenFile(`${STATIC},bob,17\n`, "tokens.csv");
  assert.ok(file.ok);
  return file.value;
}

function bootstrapTokens(): TokenAuthenticator {
  const token = parseBootstrapToken(BOOTSTRAP);
  assert.ok(token.ok);
  const options = { usages: ["authentication"], groups: [], description: "" };
  const secret = createTokenSecret({ token: token.value, ...options });
  const found = new Map([[toTokenSecretName("abcdef"), secret]]);
  return createBootstrapTokenAuthenticator({
    clock: createFakeClock(),
    logger: createMemoryLogger(),
    tokens: { getSecret: (name) => Promise.resolve(found.get(name)) },
  });
}

/** Creates an authenticator that looks tokens up by their text, which the check must detect. */
function createUnsafeAuthenticator({ entries }: TokenFile): TokenAuthenticator {
  const users = new Map(entries.map(({ token, username }) => [token.reveal(), username]));
  return (token) => {
    const username = users.get(token);
    const user = { username: username ?? "", uid: "", groups: [], extra: {} };
    return Promise.resolve(username === undefined ? { kind: "none" } : { kind: "user", user });
  };
}

for (
  const { what, create, token, secret } of [
    { what: "a token file", create: () => createTokenFileAuthenticator(tokenFile()), token: STATIC, secret: STATIC },
    { what: "bootstrap tokens", create: bootstrapTokens, token: BOOTSTRAP, secret: BOOTSTRAP_SECRET },
  ]
) {
  for (const isGuess of [false, true]) {
    test(`${what} check ${isGuess ? "a guess" : "a token"} without looking it up`, async () => {
      const authenticate = create();
      const last = isGuess ? "0" : "";
      const sent = isGuess ? token.slice(0, -1) + last : token;
      const expected = isGuess ? secret.slice(0, -1) + last : secret;
      assert.deepEqual(
        await findLookups(
          expected,
          async () => assert.equal((await authenticate(sent, {})).kind, isGuess ? "none" : "user"),
        ),
        [],
      );
    });
  }
}

test("createBootstrapTokenAuthenticator() records in the audit log what the holder of a token has proven", async () => {
  const token = parseBootstrapToken(BOOTSTRAP);
  assert.ok(token.ok);
  const made = createTokenSecret({ token: token.value, usages: ["authentication"], groups: [], description: "" });
  const attested = "ssh SHA256:abc 2026-01-01T00:00:00Z";
  const annotations = {
    "tlsboot/attested": attested,
    "tlsboot/node": "n1",
    "tlsboot/public-key": `sha256:${"0a".repeat(32)}`,
  };
  const secret = { ...made, metadata: { ...made.metadata, annotations } };
  const authenticate = createBootstrapTokenAuthenticator({
    clock: createFakeClock(),
    logger: createMemoryLogger(),
    tokens: { getSecret: () => Promise.resolve(secret) },
  });
  const result = await authenticate(BOOTSTRAP, {});
  assert.deepEqual(result.kind === "user" && result.auditAnnotations, { "authentication.tlsboot/attested": attested });
  const plain = await bootstrapTokens()(BOOTSTRAP, {});
  assert.equal(plain.kind === "user" && plain.auditAnnotations, undefined);
});

test("an authenticator that looks up the token itself is detected", async () => {
  const authenticate = createUnsafeAuthenticator(tokenFile());
  assert.deepEqual(await findLookups(STATIC, () => authenticate(STATIC, {})), ["get"]);
});

const warning = "the provided Authorization header contains extra space before the bearer token, and is ignored";

for (
  const { header, want } of [
    { header: undefined, want: { token: undefined } },
    { header: "", want: { token: undefined } },
    { header: "Bearer", want: { token: undefined } },
    { header: "Bearer ", want: { token: undefined } },
    { header: "Bearer tok", want: { token: "tok" } },
    { header: "  bearer tok  ", want: { token: "tok" } },
    { header: "BEARER tok", want: { token: "tok" } },
    { header: "Bearer tok rest of it", want: { token: "tok" } },
    { header: "Bearer  tok", want: { token: undefined, warning } },
    { header: "Basic dTpw", want: { token: undefined } },
    { header: "tok", want: { token: undefined } },
  ]
) {
  test(`parseBearerToken() reads ${JSON.stringify(header)}`, () => assert.deepEqual(parseBearerToken(header), want));
}
