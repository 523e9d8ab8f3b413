/** Tests notifications from `up`, `approver` and `signer` to a receiver over HTTPS. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { createSystemClock, createSystemRandom } from "../../cli/system.ts";
import type { Clock } from "../../core/ports.ts";
import type { NotificationKind } from "../../core/report/notification.ts";
import { type Running, startCaptured } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { bootstrapLine, createWorkplace, machineFlags, type Workplace } from "../support/instance_process.ts";
import {
  type NotificationReceiver,
  type ReceivedNotification,
  startNotificationReceiver,
} from "../support/notification_receiver.ts";

/** How much faster a controller's clock is: it waits ten seconds before it reports a pending request. */
const SPEED = 10;

function createFastClock(): Clock {
  const clock = createSystemClock();
  return {
    ...clock,
    elapsedMs: () => clock.elapsedMs() * SPEED,
    sleep: (ms, signal) => clock.sleep(ms / SPEED, signal),
  };
}

/** Starts a command that notifies a receiver. The URL is in a file because it contains a secret. */
async function startNotifying(
  folder: Workplace,
  { url, caPem }: NotificationReceiver,
  ...args: readonly string[]
): Promise<Running> {
  await writeFile(folder.join("notify.url"), `${url}/secret-topic\n`, { mode: 0o600 });
  await writeFile(folder.join("phone.crt"), caPem);
  return startCaptured([...args, "--notify-file", "notify.url", "--notify-ca-file", "phone.crt"], {
    cwd: folder.path,
    env: {},
    clock: createFastClock(),
    random: createSystemRandom(),
  });
}

function awaitNotification(receiver: NotificationReceiver, kind: NotificationKind): Promise<ReceivedNotification> {
  return eventually(kind, () => Promise.resolve(receiver.received.find((one) => one.notification.kind === kind)));
}

test("tlsboot up --notify-file reports a pending request, a claimed name and a revoked credential", async () => {
  await using folder = await createWorkplace();
  await using receiver = await startNotificationReceiver();
  const up = ["up", "--data-dir", "data", "--secure-port", "0"];
  await using running = await startNotifying(folder, receiver, ...up);
  await running.waitFor(/tlsboot is up at /);
  await using first = folder.start(...bootstrapLine("n1"));
  const { path, notification } = await awaitNotification(receiver, "RequestPending");
  assert.equal(path, "/secret-topic");
  assert.match(notification.sentence, /^Node n1, with the token [a-z0-9]{6}, asks for a client certificate, /);
  const [object] = notification.objects;
  assert.equal(object?.kind, "CertificateSigningRequest");
  assert.ok(notification.message.endsWith(`To look at it: tlsboot describe csr ${object.name}`));
  await folder.succeed("approve", object.name);
  assert.equal((await first.finished()).code, 0);
  const thief = ["--kubeconfig", "thief/kubeconfig", "--cert-dir", "thief/pki", "--hostname-override", "n1"];
  await using second = folder.start("bootstrap", "--bootstrap-kubeconfig", "data/bootstrap.kubeconfig", ...thief);
  const claim = await awaitNotification(receiver, "NameClaimed");
  assert.match(claim.notification.sentence, /^Left pending: .*n1.* certificate/);
  assert.equal(claim.notification.priority, 9);
  second.kill("SIGINT");
  await folder.succeed("revoke", "node/n1", "--yes");
  await folder.tlsboot("bootstrap", ...machineFlags("n1"), "--timeout", "1s");
  await folder.tlsboot("get", "csr", "--kubeconfig", "n1/kubeconfig");
  const refused = await awaitNotification(receiver, "CredentialRefused");
  assert.match(refused.notification.sentence, /^A revoked credential of "system:node:n1" was used/);
  const log = running.stderr();
  assert.ok(log.includes(new URL(receiver.url).host));
  assert.doesNotMatch(log, /secret-topic/);
});

const CA = ["--cluster-signing-cert-file", "data/pki/ca.crt", "--cluster-signing-key-file", "data/pki/ca.key"];
for (const role of [["approver"], ["signer", ...CA]]) {
  test(`tlsboot ${role[0]} --notify-file reports another server's pending request and refused token`, async () => {
    await using folder = await createWorkplace();
    await using receiver = await startNotificationReceiver();
    await using up = folder.start("up", "--secure-port", "0");
    const [, url = ""] = await up.waitFor(/tlsboot is up at (\S+)/);
    const admin = ["--kubeconfig", "data/admin.kubeconfig"];
    await using _controller = await startNotifying(folder, receiver, ...role, ...admin, "--leader-elect=false");
    await using _first = folder.start(...bootstrapLine("n1"));
    assert.match((await awaitNotification(receiver, "RequestPending")).notification.sentence, /^Node n1, /);
    const token = (await folder.succeed("token", "create", "--node", "n2", "--cidr", "10.9.8.0/24")).stdout.trim();
    const [pin = ""] = /sha256:[0-9a-f]{64}/.exec((await folder.succeed("ca", "show")).stdout) ?? [];
    const joining = ["--server", url, "--token", token, "--ca-cert-hash", pin, ...machineFlags("n2")];
    assert.equal((await folder.tlsboot("bootstrap", ...joining)).code, 1);
    const { sentence, objects } = (await awaitNotification(receiver, "CredentialRefused")).notification;
    assert.match(sentence, /^An attempt from 127\.0\.0\.1 to use bootstrap token "[a-z0-9]{6}" was refused: /);
    assert.equal(objects[0]?.namespace, "kube-system");
    assert.ok(!JSON.stringify(receiver.received).includes(token.slice(7)));
  });
}

test("tlsboot approver --print-rbac --notify grants reading Events", async () => {
  await using folder = await createWorkplace();
  const print = async (...args: readonly string[]) =>
    (await folder.succeed("approver", "--print-rbac", ...args)).stdout;
  assert.match(await print("--notify", "https://ntfy.example.com/t"), /name: tlsboot:approver-notifications\n/);
  assert.doesNotMatch(await print(), /notifications/);
});

test("tlsboot doctor --notify-file sends a test message, and reports why it was not accepted", async () => {
  await using folder = await createWorkplace();
  await using receiver = await startNotificationReceiver();
  await writeFile(folder.join("notify.url"), `${receiver.url}/secret-topic\n`, { mode: 0o600 });
  await writeFile(folder.join("phone.crt"), receiver.caPem);
  const args = ["doctor", "--notify-file", "notify.url"];
  const untrusted = await folder.tlsboot(...args);
  assert.equal(untrusted.code, 1);
  assert.match(
    untrusted.stdout,
    /error +notification +cannot trust [^]*give the CA of the receiver with --notify-ca-file/,
  );
  const { stdout } = await folder.succeed(...args, "--notify-ca-file", "phone.crt");
  assert.match(stdout, /^receiver 127\.0\.0\.1:\d+\n {2}ok +notification +the receiver has accepted a test message\n/);
  assert.equal(receiver.received[0]?.notification.kind, "Test");
  receiver.status = 404;
  const refused = await folder.tlsboot(...args, "--notify-ca-file", "phone.crt");
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /error +notification +"127\.0\.0\.1:\d+" answered 404/);
  assert.doesNotMatch(untrusted.stdout + refused.stdout, /secret/);
});

for (
  const { args, message } of [
    { args: ["--notify", "ntfy"], message: /^tlsboot: error: --notify: want a URL such as https:\/\// },
    {
      args: ["--notify", "https://a.example", "--notify-file", "b"],
      message: /--notify and --notify-file exclude each other/,
    },
    { args: ["--notify-key-file", "key"], message: /--notify-key-file needs --notify or --notify-file/ },
    {
      args: ["--notify", "http://a.example/t"],
      message: /--notify: http:\/\/ sends .*\n.*allow it with --notify-insecure/,
    },
  ]
) {
  test(`tlsboot up ${args.join(" ")} is wrong usage`, async () => {
    await using folder = await createWorkplace();
    const { code, stderr } = await folder.tlsboot("up", ...args);
    assert.equal(code, 2);
    assert.match(stderr, message);
  });
}
