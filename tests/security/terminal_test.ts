/**
 * Terminal control characters from servers, requests and files are escaped: each interactive command runs against
 * hostile servers and with hostile files, with and without a terminal.
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { Secret } from "../../core/lib/brand.ts";
import { encodeKubeconfig } from "../../core/kube/kubeconfig/kubeconfig.ts";
import { publicKeyPin } from "../../core/pki/keys/key_names.ts";
import type { CapturedIoOptions } from "../support/captured_io.ts";
import { type Finished, startCaptured } from "../support/child.ts";
import { sharedKey } from "../support/csr_builder.ts";
import { type FakeApi, startFakeApi } from "../support/fake_api.ts";
import { createFakeClock, createSkippingClock } from "../support/fake_clock.ts";
import {
  createHostileObjects,
  HOSTILE_SERVERS,
  hostileAnswer,
  type HostileObjects,
  OWN_RIGHTS,
  refusal,
} from "../support/hostile_api.ts";
import { HOSTILE_ARCHIVES, writeHostileArchives } from "../support/hostile_archive.ts";
import { assertShown, findControls, FORGING, HOSTILE } from "../support/hostile_text.ts";
import { runCaptured } from "../support/run_captured.ts";
import { createSigningCa, writeCa } from "../support/signing_ca.ts";
import { createTempFolder, type TempFolder } from "../support/temp.ts";

let folder: TempFolder;
let api: FakeApi;
let objects: HostileObjects;

/** A command that sends requests to a server. */
interface ServerCommand {
  readonly args: readonly string[] | (() => readonly string[]);
  /** Whether its output without a terminal is unescaped data for programs. */
  readonly isData?: boolean;
  /** Whether the command runs until it is interrupted. */
  readonly isEndless?: boolean;
  /** Whether the command differs from another one only in how it prints objects. */
  readonly isFormat?: boolean;
}

const REQUEST = ["request", "--signer", "example.com/a", "--subject", "CN=a", "--out"];
const BOOTSTRAP = ["bootstrap", "--hostname-override", "n1", "--kubeconfig", "n1/kubeconfig", "--cert-dir", "n1/pki"];
const SIGNER = ["signer", "--cluster-signing-cert-file", "ca.crt", "--cluster-signing-key-file", "ca.key"];
/** Without leader election these commands list requests at once. */
const SIGNER_ALONE = [...SIGNER, "--leader-elect=false"];
const APPROVER_ALONE = ["approver", "--policy", "kubelet-serving-trusting", "--leader-elect=false"];
const TEXT = ["--logging-format", "text"];

const COMMANDS: readonly ServerCommand[] = [
  { args: ["get", "csr"] },
  { args: ["get", "csr", "-o", "wide"], isFormat: true },
  { args: ["get", "csr", "-o", "json"], isFormat: true },
  { args: ["get", "csr", "-o", "name"], isFormat: true },
  { args: ["get", "csr", "-o", "yaml"], isData: true, isFormat: true },
  { args: ["get", "csr", "-o", "jsonpath={.items[*].spec.username}"], isData: true, isFormat: true },
  { args: ["get", "csr", "one"] },
  { args: ["get", "csr", "-w"], isEndless: true },
  { args: ["get", "csr", "one", "-w"], isEndless: true },
  { args: ["get", "csr", "-w", "-o", "name"], isEndless: true, isFormat: true },
  { args: ["describe", "csr", "one"] },
  { args: ["describe", "csr"] },
  { args: ["approve", "-i"] },
  { args: ["approve", "one"] },
  { args: ["deny", "one", "--reason", FORGING, "--message", HOSTILE] },
  { args: ["delete", "csr", "one"] },
  { args: ["token", "list"] },
  { args: ["token", "list", "-o", "json"], isFormat: true },
  { args: ["token", "list", "--show-secrets"], isFormat: true },
  { args: ["token", "create", "--description", HOSTILE] },
  { args: ["token", "create", "-o", "command"] },
  { args: ["token", "create", "-o", "command", "--server", "https://10.0.0.1:6443"], isFormat: true },
  { args: ["token", "create", "-o", "kubeconfig", "--server", "https://10.0.0.1:6443"], isFormat: true },
  { args: ["token", "delete", "abcdef"] },
  { args: ["policy", "explain", "one", "--policy", "kubelet-serving-trusting"] },
  { args: ["delete", "csr", "--pending-of", FORGING] },
  { args: ["kubeconfig", "user", "bob"], isEndless: true },
  { args: [...REQUEST, "out", "--no-wait"] },
  { args: [...REQUEST, "waiting"], isEndless: true },
  { args: [...REQUEST, "late", "--timeout", "1s"], isEndless: true },
  { args: [...BOOTSTRAP, "--bootstrap-kubeconfig", "admin.kubeconfig"], isEndless: true },
  {
    args: () => [
      ...[...BOOTSTRAP, "--server", api.server, "--token", "abcdef.0123456789abcdef"],
      ...["--ca-cert-hash", publicKeyPin(api.ca.authority.certificate)],
    ],
    isEndless: true,
  },
  { args: SIGNER_ALONE, isEndless: true },
  { args: [...SIGNER, ...TEXT], isEndless: true },
  { args: APPROVER_ALONE, isEndless: true },
  { args: ["approver", "--dry-run", ...TEXT], isEndless: true },
];

/** The servers that send objects. With the others, all output formats print the same errors. */
const OBJECT_SERVERS = new Set(["answers with hostile objects", "answers with another object"]);
/**
 * The log of `--debug` does not depend on the terminal. All errors are printed by the same code, so commands use these
 * modes in turn with servers that send only errors.
 */
const MODES = [{ isTerminal: true, debug: [] }, { isTerminal: false, debug: ["--debug"] }] as const;

/** A duration that is longer than any pause between attempts, and shorter than any timeout. */
const PAUSE_MS = 60_000;
/** The number of requests after which an endless command is interrupted. */
const ENOUGH = 8;

/**
 * Returns the environment of a command. Its clock skips pauses between attempts, but begins at the real time, because
 * the server's certificate must be valid.
 */
function createIoOptions(isTerminal: boolean): CapturedIoOptions {
  return {
    cwd: folder.path,
    isTerminal,
    clock: createSkippingClock(createFakeClock(new Date()), 0, PAUSE_MS),
    env: { TLSBOOT_DATA_DIR: folder.path, TLSBOOT_KUBECONFIG: folder.join("admin.kubeconfig") },
  };
}

async function runAgainst(
  server: string,
  { args, isEndless = false }: ServerCommand,
  { isTerminal, debug }: { readonly isTerminal: boolean; readonly debug: readonly string[] },
): Promise<Finished> {
  const stop = new AbortController();
  let asked = 0;
  api.intercept = (request) => {
    if (!request.path.endsWith(OWN_RIGHTS)) asked += 1;
    if (isEndless && asked > ENOUGH) stop.abort();
    return HOSTILE_SERVERS[server]!(request, objects);
  };
  const late = AbortSignal.timeout(60_000);
  const run = await runCaptured(
    [...(typeof args === "function" ? args() : args), ...debug],
    createIoOptions(isTerminal),
    AbortSignal.any([stop.signal, late]),
  );
  assert.ok(!late.aborted, `${asked} requests in 60 s\n${run.stderr.slice(0, 5_000)}`);
  assert.ok(asked > 0, `the server got no request\n${run.stderr.slice(0, 5_000)}`);
  return run;
}

const LOCAL: readonly (readonly string[])[] = [
  [HOSTILE],
  ["get", HOSTILE],
  ["get", "csr", `--${HOSTILE}`],
  ["get", "csr", "--field-selector", HOSTILE],
  ["get", "csr", "-o", HOSTILE],
  ["get", "csr", "--kubeconfig", HOSTILE],
  ["get", "csr", "--kubeconfig", "broken.kubeconfig"],
  ["describe", "csr", FORGING, "--kubeconfig", "broken.kubeconfig"],
  ["inspect", "hostile.crt"],
  ["inspect", "hostile.crt", "-o", "json"],
  ["inspect", "csr.yaml"],
  ["inspect", "admin.kubeconfig"],
  ["inspect", "broken.kubeconfig"],
  ["inspect", "folder/x\x1b[2J\u202e.crt"],
  ["inspect", HOSTILE],
  ["version", "--config", "config.yaml"],
  ["version", "--config", HOSTILE],
  ["ca", "show", "--data-dir", HOSTILE],
  ["ca", "init", "--data-dir", "ca", "--common-name", `ca ${HOSTILE}`],
  ["ca", "init", "--data-dir", `own ${HOSTILE}`],
  ["ca", "import", "--data-dir", "taken", "--ca-cert", "hostile_ca.crt", "--ca-key", "hostile_ca.key"],
  ["sign", "csr.yaml", "--data-dir", "ca", "--signer", HOSTILE],
  ["policy", "explain", "csr.yaml", "--policy", "kubelet-serving"],
  ["policy", "explain", "csr.yaml", "--policy", "policy.yaml"],
  ["policy", "check", "policy.yaml"],
  ["kubeconfig", "admin", "--data-dir", "ca", "--user", HOSTILE, "--out", `admin\x1b[2J.kubeconfig`],
  ["kubeconfig", "user", HOSTILE],
  ["token", "create", HOSTILE, "-o", "yaml"],
  ["token", "create", "-o", "yaml", "--description", FORGING, "--out", "b\x1b[2J\u202e"],
  ["token", "create", "-o", "kubeconfig", "--data-dir", HOSTILE],
  ["token", "create", "-o", "kubeconfig", "--server", HOSTILE],
  ["token", "create", "--public-key", HOSTILE, "-o", "pack", "--node", "n1", "--out", "a"],
  ["token", "create", "--for-inventory", HOSTILE, "--out", "a\x1b[2J"],
  ["bootstrap", "--bootstrap-kubeconfig", HOSTILE, "--kubeconfig", "k", "--cert-dir", "c"],
  ["bootstrap", "--hostname-override", HOSTILE, "--bootstrap-kubeconfig", "b", "--kubeconfig", "k", "--cert-dir", "c"],
  ["doctor", "folder", "--kubeconfig", "broken.kubeconfig"],
  ["request", "--signer", HOSTILE, "--subject", `CN=${HOSTILE}`, "--out", "o"],
  ["request", "--signer", "a.b/c", "--dns", HOSTILE, "--out", "o"],
  ["serve", "--token-auth-file", "tokens.csv", "--data-dir", "served"],
  ["serve", "--tls-san", HOSTILE, "--secure-port", HOSTILE],
  ["backup", HOSTILE, "--data-dir", "ca", "--recipient", HOSTILE],
  ["backup", "b.backup", "--data-dir", HOSTILE, "--recipient", FORGING],
  ["backup", HOSTILE, "--verify", "--identity", FORGING],
  ["restore", FORGING, "--data-dir", HOSTILE],
  ...Object.keys(HOSTILE_ARCHIVES).flatMap((archive) => [
    ["backup", archive, "--verify", "--identity", "identity"],
    ["restore", archive, "--data-dir", `restored\u202e`, "--force", "--identity", "identity"],
  ]),
];

async function writeHostileFiles(): Promise<void> {
  await mkdir(folder.join("folder"), { recursive: true });
  const certificate = await api.ca.issue({
    subject: { commonName: HOSTILE },
    publicKeyDer: (await sharedKey()).publicKeyDer(),
  });
  await writeFile(folder.join("folder", "x\x1b[2J\u202e.crt"), certificate);
  const hostile = JSON.stringify(HOSTILE);
  await writeFile(
    folder.join("broken.kubeconfig"),
    `apiVersion: v1\nkind: Config\n${hostile}: 1\nclusters: ${hostile}\n`,
  );
  await writeFile(folder.join("config.yaml"), `${hostile}: ${hostile}\ndataDir: [1]\n`);
  await writeFile(folder.join("policy.yaml"), `apiVersion: ${hostile}\nkind: ${hostile}\n${hostile}: 1\n`);
  await writeFile(folder.join("tokens.csv"), `${HOSTILE},${HOSTILE}\n`, { mode: 0o600 });
}

describe("text of servers and files", () => {
  before(async () => {
    folder = await createTempFolder();
    api = await startFakeApi();
    const config = {
      clusters: [{ name: HOSTILE, cluster: { server: api.server, certificateAuthorityData: api.ca.caPem } }],
      contexts: [{ name: FORGING, context: { cluster: HOSTILE, user: HOSTILE } }],
      users: [{ name: HOSTILE, user: { token: new Secret("abcdef.0123456789abcdef") } }],
      currentContext: FORGING,
    };
    await writeFile(folder.join("admin.kubeconfig"), encodeKubeconfig(config), { mode: 0o600 });
    objects = await createHostileObjects(api.ca);
    await writeFile(folder.join("hostile.crt"), objects.certificate);
    await writeFile(folder.join("csr.yaml"), JSON.stringify(objects.csr));
    for (const [name, commonName] of [["ca", "ca"], ["hostile_ca", FORGING]] as const) {
      await writeCa(folder.join(name), await createSigningCa({ commonName }));
    }
    await writeHostileArchives(folder);
  });
  after(async () => {
    await api[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  });

  for (const [row, server] of Object.keys(HOSTILE_SERVERS).entries()) {
    for (const [column, command] of COMMANDS.entries()) {
      const { args, isData = false, isFormat = false } = command;
      if (isFormat && !OBJECT_SERVERS.has(server)) continue;
      const words = typeof args === "function" ? ["bootstrap", "--server"] : args;
      const name = words.filter((word) => /^[\w@.=[\]*{}/-]+$/.test(word)).join(" ");
      test(`tlsboot ${name} escapes the text of a server that ${server}`, async () => {
        for (const { isTerminal, debug } of OBJECT_SERVERS.has(server) ? MODES : [MODES[(row + column) % 2]!]) {
          const run = await runAgainst(server, command, { isTerminal, debug });
          const what = `${name} ${debug.join(" ")} ${isTerminal ? "on a terminal" : "without a terminal"}`;
          assertShown(run.stderr, isTerminal, `${what}: stderr`);
          // Data may contain line ends, but no other terminal control characters.
          if (isData) assert.equal(isTerminal ? findControls(run.stdout, true) : undefined, undefined, what);
          else assertShown(run.stdout, isTerminal, `${what}: stdout`);
        }
      });
    }
  }

  test("the text of the hostile server was printed, not omitted", async () => {
    api.intercept = (request) => hostileAnswer(request, objects);
    const run = (...args: readonly string[]) => runCaptured(args, createIoOptions(false));
    const described = await run("describe", "csr", "one");
    assert.equal(described.code, 0, described.stderr);
    for (const text of ["^[[2J", "\\u202eevil", "y^Iforged column^Jforged: line", "\\u009b31m"]) {
      assert.ok(described.stdout.includes(text), `${text} in ${described.stdout}`);
    }
    const got = await run("get", "csr", "-o", "kubectl");
    assert.ok(got.stdout.includes("^[]0;PWNED^G") && got.stdout.includes("\\u202eevil"), got.stdout);
    assert.match(described.stderr, /Warning: x.?\\u009b31mevil/, "runtimes differ in how they send bytes beyond ASCII");
    api.intercept = refusal(403);
    const refused = await run("get", "csr");
    assert.match(refused.stderr, /tlsboot: error: .*\^\[\[2J/);
    assert.match(refused.stderr, /tlsboot: error: forged: line/, "each line of a message is printed as an error");
  });

  test("signer and approver have processed the hostile requests and logged them", async () => {
    api.intercept = (request) => hostileAnswer(request, objects);
    for (const isTerminal of [false, true]) {
      for (
        const { args, messages } of [
          { args: SIGNER_ALONE, messages: ["CSR signed", "CSR failed", "reconciliation failed", "watch failed"] },
          { args: APPROVER_ALONE, messages: ["watch failed", "CSR "] },
        ]
      ) {
        await using controller = startCaptured(args, createIoOptions(isTerminal));
        for (const message of messages) {
          await controller.waitFor(new RegExp(`${message}.*\\\\u202eevil`), undefined, "stderr");
        }
      }
    }
  });

  for (const args of LOCAL) {
    const name = args.join(" ").replace(/[^\x20-\x7e]/g, "?");
    test(`tlsboot ${name} escapes the text of its arguments and files`, async () => {
      await writeHostileFiles();
      for (const isTerminal of [false, true]) {
        const run = await runCaptured([...args, "--debug"], {
          cwd: folder.path,
          isTerminal,
          env: args[0] === "serve" ? { TLSBOOT_MAX_REQUESTS_INFLIGHT: HOSTILE } : {},
        }, AbortSignal.timeout(60_000));
        assertShown(run.stderr, isTerminal, "stderr");
        assertShown(run.stdout, isTerminal, "stdout");
        const says = HOSTILE_ARCHIVES[args[1] ?? ""];
        if (says !== undefined) assert.match(`${run.stdout}${run.stderr}`, says, "the archive was read");
      }
    });
  }
});
