import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock, settle } from "../../tests/support/fake_clock.ts";
import {
  createTestApp,
  createUser,
  type TestApp,
  type TestRequest,
  WatchReader,
} from "../../tests/support/test_app.ts";
import { AppError } from "../../core/errors.ts";
import { type RecordedCertificate, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { CREDENTIAL_ID_KEY, type UserInfo } from "../../core/kube/user.ts";
import { createClientCa, verifiedPeer } from "../../tests/support/test_peers.ts";
import type { AuthnRequest, AuthnResult } from "./authentication.ts";
import { createReauthentication, type OpenStream, REAUTHENTICATION_INTERVAL_MS } from "./reauthentication.ts";

const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps";
const SECRET = "0123456789abcdef";

function tokenSecret(id: string, more: Readonly<Record<string, string>> = {}): object {
  const stringData = { "token-id": id, "token-secret": SECRET, "usage-bootstrap-authentication": "true", ...more };
  return { metadata: { name: `bootstrap-token-${id}` }, type: "bootstrap.kubernetes.io/token", stringData };
}

const bearer = (id: string): TestRequest => ({
  user: undefined,
  headers: { authorization: `Bearer ${id}.${SECRET}` },
});

/** Every user may watch, because these tests are about authentication. */
async function openToAll(app: TestApp): Promise<void> {
  const rbac = "/apis/rbac.authorization.k8s.io/v1";
  const rules = [{ verbs: ["list", "watch"], apiGroups: [""], resources: ["configmaps"] }];
  await app.send("POST", `${rbac}/clusterroles`, { body: { metadata: { name: "watch" }, rules } });
  const subjects = ["system:authenticated", "system:unauthenticated"].map((name) => ({ kind: "Group", name }));
  const roleRef = { kind: "ClusterRole", name: "watch", apiGroup: "rbac.authorization.k8s.io" };
  await app.send("POST", `${rbac}/clusterrolebindings`, { body: { metadata: { name: "watch" }, subjects, roleRef } });
}

/** Opens a watch, and reports whether it has ended. */
async function watch(app: TestApp, request: TestRequest): Promise<{ hasEnded(): boolean; close(): Promise<void> }> {
  // A long timeout must not let a client outlive its credentials (kube-apiserver has no limit either).
  const response = await app.open("GET", `${CONFIG_MAPS}?watch=1&timeoutSeconds=9000000`, request);
  assert.equal(response.status, 200);
  const reader = new WatchReader(response);
  let over = false;
  void (async () => {
    while (await reader.next() !== undefined);
    over = true;
  })();
  return { hasEnded: () => over, close: () => reader[Symbol.asyncDispose]() };
}

for (
  const { name, edit } of [
    {
      name: "its token is deleted",
      edit: (app: TestApp) => app.send("DELETE", `${SECRETS}/bootstrap-token-abcdef`),
    },
    {
      name: "the groups of its token change",
      edit: (app: TestApp) =>
        app.send("PATCH", `${SECRETS}/bootstrap-token-abcdef`, {
          headers: { "content-type": "application/merge-patch+json" },
          body: JSON.stringify({ stringData: { "auth-extra-groups": "system:bootstrappers:other" } }),
        }),
    },
  ]
) {
  test(`a watch ends within seconds when ${name}, and others continue`, async () => {
    await using app = await createTestApp();
    await openToAll(app);
    for (const id of ["abcdef", "stays0"]) await app.send("POST", SECRETS, { body: tokenSecret(id) });
    const ends = await watch(app, bearer("abcdef"));
    const also = await watch(app, bearer("abcdef"));
    const stays = await Promise.all([
      watch(app, bearer("stays0")),
      watch(app, { user: undefined }),
      watch(app, { user: createUser("in-process") }),
    ]);
    await app.clock.advance(2 * REAUTHENTICATION_INTERVAL_MS);
    assert.deepEqual([ends.hasEnded(), also.hasEnded()], [false, false]);
    const edited = await edit(app);
    assert.equal(edited.code, 200, edited.text);
    await app.clock.advance(REAUTHENTICATION_INTERVAL_MS);
    assert.deepEqual([ends.hasEnded(), also.hasEnded()], [true, true]);
    assert.deepEqual(stays.map((one) => one.hasEnded()), [false, false, false]);
    for (const one of stays) await one.close();
  });
}

test("a watch ends when its token expires", async () => {
  await using app = await createTestApp();
  await openToAll(app);
  const expiration = new Date(app.clock.now().getTime() + 3_600_000).toISOString();
  await app.send("POST", SECRETS, { body: tokenSecret("abcdef", { expiration }) });
  const one = await watch(app, bearer("abcdef"));
  await app.clock.advance(3_600_000 - REAUTHENTICATION_INTERVAL_MS);
  assert.equal(one.hasEnded(), false);
  await app.clock.advance(2 * REAUTHENTICATION_INTERVAL_MS);
  assert.equal(one.hasEnded(), true);
});

test("a watch ends when its certificate's CA is removed or replaced, and continues when the CAs are only read again", async () => {
  const clock = createFakeClock();
  const [ca, other] = [await createClientCa(clock.now()), await createClientCa(clock.now())];
  let clientCas = [ca.certificate];
  await using app = await createTestApp({ clock, clientCas: () => clientCas });
  await openToAll(app);
  const peer = await verifiedPeer(ca, clock.now(), { commonName: "jane" });
  const one = await watch(app, { user: undefined, peer });
  clientCas = [other.certificate, ca.certificate];
  await app.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.equal(one.hasEnded(), false);
  clientCas = [other.certificate];
  await app.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.equal(one.hasEnded(), true);
});

test("a watch ends when its certificate expires, and repeated authentication is not counted", async () => {
  const clock = createFakeClock();
  const ca = await createClientCa(clock.now());
  await using app = await createTestApp({ clock, clientCas: () => [ca.certificate] });
  await openToAll(app);
  const notAfter = new Date(clock.now().getTime() + 60_000);
  const peer = await verifiedPeer(ca, clock.now(), { commonName: "jane" }, { notAfter });
  const one = await watch(app, { user: undefined, peer });
  await app.clock.advance(60_000);
  assert.equal(one.hasEnded(), false);
  await app.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.equal(one.hasEnded(), true);
  const { text } = await app.send("GET", "/metrics");
  assert.match(text, /\napiserver_client_certificate_expiration_seconds_count\S* 1\n/);
});

test("createReauthentication() checks a shared token once, and ends no stream while the check fails", async () => {
  const clock = createFakeClock();
  const stopping = new AbortController();
  const user = createUser("system:bootstrap:abcdef");
  let asked = 0;
  let answer: () => Promise<AuthnResult> = () => Promise.resolve({ kind: "user", user, audiences: [] });
  const take = createReauthentication({
    authenticate: () => {
      asked += 1;
      return answer();
    },
    clock,
    signal: stopping.signal,
  });
  let ended = 0;
  const streams = Array.from({ length: 120 }, () => Promise.withResolvers<void>());
  for (const { promise, resolve } of streams) {
    const credentials = { authorizationHeader: "Bearer abcdef.x", peerCertificate: undefined };
    const end = (): void => {
      ended += 1;
      resolve();
    };
    take({ credentials, user, receivedMs: clock.elapsedMs(), ended: promise, end });
  }
  streams[0]?.resolve();
  await clock.advance(REAUTHENTICATION_INTERVAL_MS + 100);
  assert.deepEqual([asked, ended], [1, 0]);
  answer = () => Promise.reject(new AppError("unreachable", "cannot read bootstrap tokens"));
  await clock.advance(REAUTHENTICATION_INTERVAL_MS + 100);
  assert.deepEqual([asked, ended], [2, 0]);
  answer = () => Promise.resolve({ kind: "unauthorized", failures: [] });
  await clock.advance(REAUTHENTICATION_INTERVAL_MS + 100);
  assert.deepEqual([asked, ended], [3, 119]);
  await clock.advance(10 * REAUTHENTICATION_INTERVAL_MS);
  assert.deepEqual([asked, clock.sleepers], [3, 0], "no check runs without an open stream");
  stopping.abort();
});

test("createReauthentication() ends the streams of a revoked user before it authenticates any stream again", async () => {
  const clock = createFakeClock();
  const stopping = new AbortController();
  let asked = 0;
  let change = (): void => {};
  const spec = { reason: "keyCompromise" } as const;
  const index = new RevocationIndex((fingerprint) =>
    fingerprint === "recorded" ? { serialNumber: "77", firstSequence: 1 } as RecordedCertificate : undefined
  );
  const take = createReauthentication({
    authenticate: () => {
      asked++;
      return new Promise(() => {});
    },
    clock,
    signal: stopping.signal,
    revocations: {
      onChange: (listener) => change = listener,
      findRefusal: (user, certificate) => index.findForCredential(user, certificate)?.message,
    },
  });
  const ended: string[] = [];
  const open = (name: string, user: UserInfo, impersonated?: UserInfo): void =>
    take({
      credentials: { authorizationHeader: undefined, peerCertificate: undefined },
      user,
      ...(impersonated === undefined ? {} : { impersonated }),
      receivedMs: clock.elapsedMs(),
      ended: new Promise(() => {}),
      end: () => ended.push(name),
    });
  const withCertificate = (fingerprint: string, user: UserInfo): UserInfo => ({
    ...user,
    extra: { [CREDENTIAL_ID_KEY]: [`X509SHA256=${fingerprint}`] },
  });
  for (let count = 0; count < 500; count++) open("other", createUser("other"));
  open("user", createUser("jane"));
  open("group", createUser("joe", "team"));
  open("impersonated", createUser("admin"), createUser("jane"));
  open("serial", withCertificate("recorded", createUser("jim")));
  open("node's token", createUser("system:node:n1", "system:nodes"));
  // Only its certificate shows whether the machine is the revoked one or its replacement.
  open("node", withCertificate("unknown", createUser("system:node:n1", "system:nodes")));
  for (const target of [{ user: "jane" }, { group: "team" }, { serialNumber: "77" }, { node: "n1" }]) {
    const [name] = Object.values(target);
    index.put({ metadata: { name: name! }, spec: { ...spec, ...target }, status: { time: clock.now().toISOString() } });
  }
  await clock.advance(1);
  change();
  await clock.advance(100);
  assert.deepEqual(ended, ["user", "group", "impersonated", "serial", "node's token"]);
  assert.equal(asked, 1, "the rest is authenticated again, one after the other");
  stopping.abort();
});

const JANE = createUser("jane");
const VALID: AuthnResult = { kind: "user", user: JANE, audiences: [] };
const INVALID: AuthnResult = { kind: "unauthorized", failures: [] };

/** Creates checks of jane's streams, each with its own token. The test provides the answers. */
function createChecks() {
  const clock = createFakeClock();
  const stopping = new AbortController();
  let change = (): void => {};
  const checks = {
    clock,
    asked: [] as AuthnRequest[],
    ended: [] as string[],
    refused: [] as string[],
    answer: (): Promise<AuthnResult> => Promise.resolve(VALID),
    stop: () => stopping.abort(),
    async change() {
      change();
      await settle();
    },
    open: (name: string, more: Partial<OpenStream> = {}) =>
      take({
        credentials: { authorizationHeader: `Bearer ${name}`, peerCertificate: undefined },
        user: JANE,
        receivedMs: clock.elapsedMs(),
        ended: new Promise(() => {}),
        end: () => checks.ended.push(name),
        ...more,
      }),
  };
  const take = createReauthentication({
    authenticate(request) {
      checks.asked.push(request);
      return checks.answer();
    },
    clock,
    signal: stopping.signal,
    revocations: {
      onChange: () => {},
      findRefusal(user, _certificate, { isRepeated }) {
        return isRepeated === true ? checks.refused.find((name) => name === user.username) : "counted again";
      },
    },
    onClientCasChange: (listener) => change = listener,
  });
  return checks;
}

test("createReauthentication() checks at once after a change of the client CAs, fifty streams in a row", async () => {
  const checks = createChecks();
  for (let index = 0; index < 120; index++) checks.open(`${index}`);
  const counts: number[] = [];
  await checks.change();
  for (let ms = 0; ms < 4; ms++) {
    counts.push(checks.asked.length);
    await checks.clock.advance(1);
  }
  assert.deepEqual(counts, [49, 99, 120, 120]);
  assert.deepEqual(checks.ended, []);
  checks.stop();
});

test("createReauthentication() checks once more after changes during a check, unless the server stops", async () => {
  const checks = createChecks();
  const answers: ((result: AuthnResult) => void)[] = [];
  checks.answer = () => new Promise((resolve) => answers.push(resolve));
  checks.open("a");
  for (let count = 0; count < 3; count++) await checks.change();
  assert.equal(answers.length, 1);
  answers.at(-1)!(VALID);
  await settle();
  assert.equal(answers.length, 2);
  await checks.change();
  checks.stop();
  answers.at(-1)!(VALID);
  await settle();
  assert.equal(answers.length, 2);
});

test("createReauthentication() does not end a stream that ended during its check, and checks the next one", async () => {
  const checks = createChecks();
  const { promise: answer, resolve } = Promise.withResolvers<AuthnResult>();
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  checks.answer = () => answer;
  checks.open("a", { ended });
  await checks.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  end();
  await settle();
  resolve(INVALID);
  await settle();
  assert.deepEqual([checks.asked.length, checks.ended], [1, []]);
  checks.open("b");
  await checks.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.deepEqual([checks.asked.length, checks.ended], [2, ["b"]]);
});

test("createReauthentication() checks each certificate, and a stream that began before the last change at once", async () => {
  const checks = createChecks();
  const certificate = {} as NonNullable<AuthnRequest["peerCertificate"]>;
  await checks.change();
  for (const peerCertificate of [certificate, undefined, certificate]) {
    checks.open("before", { credentials: { authorizationHeader: undefined, peerCertificate } });
  }
  await settle();
  assert.equal(checks.asked.length, 3);
  await checks.clock.advance(1);
  checks.open("after the change");
  await settle();
  assert.equal(checks.asked.length, 3);
  await checks.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.equal(checks.asked.length, 7);
  checks.stop();
});

test("createReauthentication() ends the streams of a user who has changed or has been revoked", async () => {
  const checks = createChecks();
  checks.open("other uid", { user: { ...JANE, uid: "other" } });
  checks.open("other group", { user: createUser("jane", "team") });
  checks.open("impersonated", { impersonated: createUser("joe") });
  checks.open("same", { impersonated: createUser("jim") });
  checks.refused.push("joe");
  await checks.clock.advance(REAUTHENTICATION_INTERVAL_MS);
  assert.deepEqual(checks.ended, ["other uid", "other group", "impersonated"]);
  checks.stop();
});
