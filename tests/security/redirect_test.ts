/**
 * A credential is sent only to the server in the kubeconfig: clients follow no redirect, use no proxy from the
 * environment, and do not change the credential after a challenge.
 */
import assert from "node:assert/strict";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { after, before, describe, test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { createSystemClock } from "../../cli/system.ts";
import { Secret } from "../../core/lib/brand.ts";
import { encodeKubeconfig, type KubeconfigUser } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import { openSqliteStorage } from "../../server/storage/sqlite/sqlite_storage.ts";
import { type Finished, runTlsboot, spawnTlsbootToEnd } from "../support/child.ts";
import { sharedKey } from "../support/csr_builder.ts";
import { type FakeApi, type FakeRequest, startFakeApi } from "../support/fake_api.ts";
import { createFakeClock, createSkippingClock } from "../support/fake_clock.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createSeededRandom } from "../support/seeded_random.ts";
import { createSigningCa, writeCa } from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

const TOKEN = "abcdef.0123456789abcdef";
/** The name in the client certificate. */
const CLIENT = "alice";

let folder: TempFolder;
/** The server in the kubeconfig. */
let api: FakeApi;
/** The target of the redirects: another port with the same CA, so that TLS does not prevent a connection. */
let attacker: FakeApi;
/** A listener without TLS, as a downgraded server and as a proxy. */
let plain: PlainListener;
/** An open database like that of a running server, so that a backup asks that server. */
let database: AsyncDisposable;
let recipient: string;

interface PlainListener extends AsyncDisposable {
  readonly url: string;
  readonly received: string[];
}

async function writeKubeconfig(name: string, user: KubeconfigUser): Promise<void> {
  const config = {
    clusters: [{ name: "c", cluster: { server: api.server, certificateAuthorityData: api.ca.caPem } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user }],
    currentContext: "c",
  };
  await writeFile(folder.join(name), encodeKubeconfig(config), { mode: 0o600 });
}

/** Starts a listener without TLS that records every received byte. */
async function startPlainListener(): Promise<PlainListener> {
  const received: string[] = [];
  const server = createTcpServer((socket) => {
    socket.on("data", (bytes) => {
      received.push(bytes.toString("latin1"));
      socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    }).on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

/** A command for each way in which a client sends a credential, by description. */
const COMMANDS: Readonly<Record<string, (kubeconfig: string) => readonly string[]>> = {
  "a command that reads": (kubeconfig) => ["get", "csr", "--kubeconfig", kubeconfig],
  "a command that writes": (kubeconfig) => ["approve", "one", "--kubeconfig", kubeconfig],
  "a request": (kubeconfig) => [
    ...["request", "--kubeconfig", kubeconfig, "--signer", "a.example/b", "--subject", "CN=a", "--out", "o"],
  ],
  "bootstrap": (kubeconfig) => [
    ...["bootstrap", "--bootstrap-kubeconfig", kubeconfig, "--kubeconfig", "n/kubeconfig", "--cert-dir", "n/pki"],
    ...["--hostname-override", "n1", "--timeout", "1h"],
  ],
};

const TARGETS = {
  "another port": () => attacker.server,
  "another host": () => attacker.server.replace("127.0.0.1", "localhost"),
  "plain text": () => plain.url,
};

/** Answers every request with a redirect. */
function redirectTo(place: keyof typeof TARGETS, code: number): FakeApi["intercept"] {
  const to = TARGETS[place]();
  return (request) => ({
    status: code,
    headers: { location: `${to}${request.url}`, "www-authenticate": `Basic realm="${to}"` },
    body: "",
  });
}

/** Asserts that a redirected run sent nothing to the target. */
async function assertNotRedirected(run: () => Promise<Finished>): Promise<readonly FakeRequest[]> {
  const [asked, stolen, plainBefore] = [api.received.length, attacker.received.length, plain.received.length];
  const { code, stderr } = await run();
  assert.notEqual(code, 0, stderr);
  assert.equal(attacker.received.length, stolen, "the other server got a request");
  assert.equal(plain.received.length, plainBefore, "the other server got a request in plain text");
  assert.ok(!stderr.includes("0123456789abcdef"), "the token was printed");
  return api.received.slice(asked);
}

/** A duration that is longer than any pause between attempts, and shorter than any timeout. */
const PAUSE_MS = 30_000;

/** The number of redirects after which a role is stopped. It must have sent all its requests to the same server. */
const TRIES = 3;

/** Asserts that a run sends nothing to the target of redirects, even on retries, and stops it after some attempts. */
async function assertRetriesWithoutRedirect(
  args: readonly string[],
  place: keyof typeof TARGETS,
): Promise<readonly FakeRequest[]> {
  const stop = new AbortController();
  const redirect = redirectTo(place, 307);
  let tries = 0;
  api.intercept = (request) => {
    tries += 1;
    if (tries > TRIES) stop.abort();
    return redirect?.(request);
  };
  // A role that has followed the redirect has failed the test, and is stopped.
  attacker.intercept = () => {
    stop.abort();
    return undefined;
  };
  const late = AbortSignal.timeout(60_000);
  const asked = await assertNotRedirected(async () => {
    const clock = createSkippingClock(createFakeClock(new Date()), 0, PAUSE_MS);
    const options = { cwd: folder.path, clock, random: createSeededRandom() };
    const finished = await runCaptured(args, options, AbortSignal.any([stop.signal, late]));
    // A role that the test has stopped has not failed.
    return stop.signal.aborted ? { ...finished, code: 130 } : finished;
  });
  assert.ok(!late.aborted, `${tries} requests in 60 s`);
  assert.ok(asked.length > 0);
  return asked;
}

/** The roles that run against an API server, and the command that reads all its Secrets. */
const ROLES: typeof COMMANDS = {
  "a signer": (kubeconfig) => [
    ...["signer", "--kubeconfig", kubeconfig, "--leader-elect=false"],
    ...["--cluster-signing-cert-file", "ca.crt", "--cluster-signing-key-file", "ca.key"],
  ],
  "a signer with leader election": (kubeconfig) => [
    ...["signer", "--kubeconfig", kubeconfig],
    ...["--cluster-signing-cert-file", "ca.crt", "--cluster-signing-key-file", "ca.key"],
  ],
  "an approver": (kubeconfig) => ["approver", "--kubeconfig", kubeconfig, "--leader-elect=false"],
  "a backup of a running server": () => [
    ...["backup", "b.backup", "--data-dir", "instance", "--recipient", recipient],
  ],
};

describe("redirects", () => {
  before(async () => {
    folder = await createTempFolder();
    api = await startFakeApi();
    attacker = await startFakeApi({ ca: api.ca, serving: { dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] } });
    plain = await startPlainListener();
    const key = await sharedKey();
    const clientCertificateData = await api.ca.issue({
      subject: { commonName: CLIENT },
      publicKeyDer: key.publicKeyDer(),
    });
    await writeKubeconfig("kubeconfig", { token: new Secret(TOKEN) });
    await writeKubeconfig("certificate", { clientCertificateData, clientKeyData: new Secret(key.toPem()) });
    await mkdir(folder.join("instance"));
    database = await openSqliteStorage({ path: folder.join("instance", "tlsboot.db"), clock: createSystemClock() });
    recipient = await identityToRecipient(await generateX25519Identity());
    await writeCa(folder.join("ca"), await createSigningCa());
  });
  after(async () => {
    for (const one of [api, attacker, plain, database, folder]) await one[Symbol.asyncDispose]();
  });

  for (const code of [301, 302, 303, 307, 308]) {
    for (const place of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
      // One command is enough for the other codes, because all of them use the same transport.
      test(`a command that reads does not follow a ${code} to ${place}`, async () => {
        api.intercept = redirectTo(place, code);
        const args = COMMANDS["a command that reads"]!("kubeconfig");
        const asked = await assertNotRedirected(() => runTlsboot(args, { cwd: folder.path }));
        assert.ok(asked.length > 0);
        for (const { headers } of asked) assert.equal(headers.authorization, `Bearer ${TOKEN}`);
      });
    }
  }

  for (const place of Object.keys(TARGETS) as (keyof typeof TARGETS)[]) {
    for (
      const [credential, kubeconfig] of [["a token", "kubeconfig"], ["a client certificate", "certificate"]] as const
    ) {
      for (const [way, toArgs] of Object.entries({ ...COMMANDS, ...ROLES })) {
        test(`${way} with ${credential} does not follow a redirect to ${place}`, async () => {
          await copyFile(folder.join(kubeconfig), folder.join("instance", "admin.kubeconfig"));
          const asked = await assertRetriesWithoutRedirect(toArgs(kubeconfig), place);
          if (way.startsWith("a backup")) assert.equal(asked[0]?.path, "/tlsboot/snapshot");
          for (const { headers, clientName } of asked) {
            const shown = [headers.authorization, clientName];
            assert.deepEqual(shown, credential === "a token" ? [`Bearer ${TOKEN}`, undefined] : [undefined, CLIENT]);
          }
        });
      }
    }
  }

  test("discovery does not follow a redirect, and sends no token", async () => {
    const asked = await assertRetriesWithoutRedirect([
      ...["bootstrap", "--server", api.server, "--token", TOKEN],
      ...["--ca-cert-hash", publicKeyPin(api.ca.authority.certificate)],
      ...["--kubeconfig", "d/kubeconfig", "--cert-dir", "d/pki", "--hostname-override", "n1", "--timeout", "1h"],
    ], "another port");
    for (const { headers } of asked) assert.equal(headers.authorization, undefined);
  });

  test("a server without TLS is refused before a credential is sent", async () => {
    const text = await readFile(folder.join("kubeconfig"), "utf8");
    await writeFile(folder.join("plain"), text.replace(api.server, plain.url), { mode: 0o600 });
    const before = plain.received.length;
    const { code, stderr } = await runTlsboot(["get", "csr", "--kubeconfig", "plain"], { cwd: folder.path });
    assert.equal(code, 1);
    assert.match(stderr, /not an https URL/);
    assert.deepEqual(plain.received.slice(before), []);
  });

  test("proxies from the environment get no request, and no token even if the runtime is configured to use them", async () => {
    api.intercept = undefined;
    const plainBefore = plain.received.length;
    const names = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    const env = {
      ...Object.fromEntries(names.map((name) => [name, plain.url])),
      NO_PROXY: "",
      DENO_NO_UPDATE_CHECK: "1",
    };
    const args = ["get", "csr", "-o", "name", "--kubeconfig", "kubeconfig"];
    const before = api.received.length;
    const { code, stderr } = await spawnTlsbootToEnd(args, { cwd: folder.path, env });
    assert.equal(code, 0, stderr);
    assert.ok(api.received.length > before, "the server itself got a request");
    assert.deepEqual(plain.received.slice(plainBefore), []);
    // Deno then opens a tunnel and Node does not; TLS in the tunnel is verified all the same.
    await spawnTlsbootToEnd(args, { cwd: folder.path, env: { ...env, NODE_USE_ENV_PROXY: "1" } });
    for (const bytes of plain.received) assert.doesNotMatch(bytes, /authorization|abcdef/i);
  });

  for (const challenge of ["Basic realm=x", "Bearer realm=x", "Negotiate", "NTLM"]) {
    test(`a 401 with the challenge "${challenge}" does not change the sent credentials`, async () => {
      const before = api.received.length;
      api.intercept = () => ({ status: 401, headers: { "www-authenticate": challenge }, body: "" });
      const { code } = await runTlsboot(["get", "csr", "--kubeconfig", "kubeconfig"], { cwd: folder.path });
      assert.equal(code, 1);
      const asked = api.received.slice(before);
      assert.equal(asked.length, 1, "a refused credential is not sent again");
      assert.equal(asked[0]?.headers.authorization, `Bearer ${TOKEN}`);
    });
  }
});
