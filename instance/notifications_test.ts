import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { AppError, isAppError } from "../core/errors.ts";
import type { IssuedCertificate } from "../core/kube/kinds/tlsboot_v1alpha1.ts";
import { RegisterIndex } from "../server/register/index.ts";
import type { Stored } from "../server/storage/storage.ts";
import { createStored } from "../server/storage/stored.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { createMemoryFiles } from "../tests/support/memory_files.ts";
import { createSigningCa } from "../tests/support/signing_ca.ts";
import { createTempFolder } from "../tests/support/temp.ts";
import { dataDirAt } from "./data_dir.ts";
import {
  createCaSearch,
  createEndingSearch,
  createNotificationSender,
  type NotificationSenderOptions,
  openNotifications,
} from "./notifications.ts";
import type { Instance } from "./instance.ts";
import type { NotificationSettings } from "./settings.ts";
import { createHmac } from "node:crypto";
import { createNotification, type NotifiedEvent } from "../core/report/notification.ts";
import { Secret } from "../core/lib/brand.ts";
import { startHttpProxy } from "../tests/support/http_proxy.ts";
import { startNotificationReceiver } from "../tests/support/notification_receiver.ts";
import { parseReceiver } from "./settings.ts";

const URL_FILE = "/etc/notify.url";

function open(settings: Partial<NotificationSettings>, files = createMemoryFiles()) {
  return openNotifications({ notifyInsecure: false, ...settings }, { files, cwd: "/", clock: createFakeClock() });
}

test("openNotifications() opens a receiver from a setting or a file, and none without either", async () => {
  assert.equal(await open({}), undefined);
  assert.equal((await open({ notify: "https://ntfy.example.com/topic" }))?.host, "ntfy.example.com");
  const files = createMemoryFiles({ [URL_FILE]: "https://:tk_secret@ntfy.example.com:8443/topic\n" });
  assert.equal((await open({ notifyFile: URL_FILE }, files))?.host, "ntfy.example.com:8443");
  assert.equal((await open({ notify: "http://10.0.0.1/t", notifyInsecure: true }))?.host, "10.0.0.1");
});

for (
  const { name, settings, files = {}, code, message } of [
    {
      name: "text that is not a URL",
      settings: { notify: "ntfy" },
      code: "usage",
      message: "the setting notify: want a URL such as https://ntfy.example.com/topic",
    },
    {
      name: "plain HTTP",
      settings: { notify: "http://ntfy.example.com/secret" },
      code: "usage",
      message: 'the setting notify: http:// sends notifications to "ntfy.example.com" in plain text',
    },
    {
      name: "a password in the setting",
      settings: { notify: "https://me:secret@ntfy.example.com" },
      code: "usage",
      message: "the setting notify: the URL contains a password, which other users of this machine can see",
    },
    {
      name: "a file that does not exist",
      settings: { notifyFile: URL_FILE },
      code: "not_found",
      message: `cannot read the URL for notifications from "${URL_FILE}": file does not exist`,
    },
    {
      name: "a file without a URL",
      settings: { notifyFile: URL_FILE },
      files: { [URL_FILE]: "secret" },
      code: "usage",
      message: "the setting notifyFile: want a URL such as https://ntfy.example.com/topic",
    },
    {
      name: "a key that is too short",
      settings: { notify: "https://ntfy.example.com/t", notifyKeyFile: "/key" },
      files: { "/key": "secret\n" },
      code: "key_invalid",
      message: 'cannot sign notifications with "/key": the key is too short',
    },
    {
      name: "a file without a CA",
      settings: { notify: "https://ntfy.example.com/t", notifyCaFile: "/ca.crt" },
      files: { "/ca.crt": "secret" },
      code: "ca_invalid",
      message: /^cannot use the CA for notifications "\/ca\.crt": /,
    },
  ] as const
) {
  test(`openNotifications() refuses ${name} without showing a secret`, async () => {
    await assert.rejects(open(settings, createMemoryFiles(files)), (error) => {
      assert.ok(isAppError(error, code));
      assert.match(error.message, typeof message === "string" ? new RegExp(`^${RegExp.escape(message)}$`) : message);
      assert.ok(error.hint === undefined || !error.hint.includes("secret"));
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });
}

test("openNotifications() refuses files with the URL or the key that others can read", async () => {
  for (
    const settings of [{ notifyFile: URL_FILE }, { notify: "https://ntfy.example.com/t", notifyKeyFile: URL_FILE }]
  ) {
    const files = createMemoryFiles();
    files.entries.set(URL_FILE, { kind: "file", text: "https://ntfy.example.com/0123456789", mode: 0o644 });
    await assert.rejects(open(settings, files), (error) => {
      assert.ok(isAppError(error, "file_permissions"));
      assert.deepEqual([error.message, error.hint], [
        `cannot use "${URL_FILE}": others may read it (mode 644)`,
        `chmod 600 ${URL_FILE}`,
      ]);
      return true;
    });
  }
});

test("openNotifications() reports a file that it may not read", async () => {
  const failure = new AppError("io", `cannot read "${URL_FILE}": permission denied`);
  const files = { ...createMemoryFiles(), readText: () => Promise.reject(failure) };
  await assert.rejects(open({ notifyFile: URL_FILE }, files), failure);
});

test("createEndingSearch() finds certificates, CAs and backups, and each certificate once", async () => {
  await using folder = await createTempFolder();
  await writeFile(folder.join("tlsboot.backup"), "age-encryption.org/v1\n-> scrypt c2FsdA 10\n");
  const clock = createFakeClock("2034-12-01T00:00:00Z");
  const ca = await createSigningCa();
  const index = new RegisterIndex();
  const spec = {
    ...{ sequence: 1, signerName: "example.com/web", subject: "CN=nas", issuedAt: null },
    ...{ notBefore: "2034-01-01T00:00:00Z", notAfter: "2034-12-02T00:00:00Z" },
  };
  const record: IssuedCertificate = { metadata: { name: "1" }, spec, status: {} };
  index.added("1", createStored("", record, 1) as Stored<IssuedCertificate>);
  // The search reads only these properties.
  const instance = {
    authorities: { serving: ca, clientCas: [{ chain: ca }] },
    register: { index },
  } as unknown as Instance;
  const dir = dataDirAt(folder.join("data"));
  const find = createEndingSearch({ ...instance, dir }, { clock, cwd: folder.path });
  const sentences = (await find()).map(({ kind, sentence }) => `${kind}: ${sentence}`);
  assert.deepEqual(sentences, [
    'CertificateEnding: The certificate of "CN=nas" from example.com/web ends at 2034-12-02T00:00:00Z, and is not renewed',
    ...Array(2).fill('CaEnding: CA "test-ca" ends at 2035-01-01T00:00:00Z, and its certificates end with it'),
    `BackupOld: The backup "${folder.join("tlsboot.backup")}" is cut off or damaged, and cannot be restored`,
  ]);
  assert.deepEqual((await find()).map(({ kind }) => kind), ["CaEnding", "CaEnding", "BackupOld"]);
});

test("createCaSearch() finds the CAs of signers that end within 90 days", async () => {
  const ca = await createSigningCa();
  const cas = {
    signerNames: ["example.com/a", "example.com/b"],
    authorities: (name: string) => Promise.resolve(name === "example.com/a" ? ca : undefined),
  };
  assert.deepEqual(await createCaSearch(cas, createFakeClock("2034-10-01T00:00:00Z"))(), []);
  const [notice] = await createCaSearch(cas, createFakeClock("2034-11-01T00:00:00Z"))();
  assert.equal(notice?.next, "To replace it: tlsboot guide new_ca");
});

const NEVER = new AbortController().signal;
// The certificate of the receiver is valid at the machine's time.
const clock = createFakeClock(new Date());
const NOTICE: NotifiedEvent = { kind: "RequestPending", sentence: "Node n1 – asks", object: { kind: "X", name: "n1" } };
const NOTIFICATION = createNotification({ first: [NOTICE], count: 1 }, { server: "https://boot", now: clock.now() });

async function send(url: string, options: Omit<NotificationSenderOptions, "clock"> = {}): Promise<void> {
  const parsed = parseReceiver(url);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  await createNotificationSender(parsed.value, { ...options, clock }).send(NOTIFICATION, NEVER);
}

for (
  const text of [
    "",
    "phone",
    "ftp://phone.example.com/t",
    "https://",
    "https://u:p/w@phone.example.com/secret",
    "https://%zz@phone.example.com/secret",
  ]
) {
  test(`parseReceiver() refuses "${text}" without quoting it`, () => {
    const parsed = parseReceiver(text);
    assert.ok(!parsed.ok);
    assert.doesNotMatch(parsed.error, /phone|secret/);
  });
}

test("createNotificationSender() posts JSON over HTTPS, with the headers of ntfy, a user and a signature", async () => {
  await using receiver = await startNotificationReceiver();
  const { caPem, received } = receiver;
  const url = receiver.url.replace("//", "//me:p%40ss@");
  await send(`${url}/topic?token=abc`, { caPem, signingKey: new Secret("0123456789abcdef") });
  const [{ path, headers, body, notification } = assert.fail("nothing received")] = received;
  assert.equal(path, "/topic?token=abc");
  assert.deepEqual(notification, NOTIFICATION);
  assert.equal(headers["content-type"], "application/json");
  assert.equal(headers["title"], "tlsboot: A request is pending");
  assert.equal(headers["authorization"], `Basic ${btoa("me:p@ss")}`);
  const digest = createHmac("sha256", "0123456789abcdef").update(body).digest("hex");
  assert.equal(headers["x-tlsboot-signature"], `sha256=${digest}`);
});

test("createNotificationSender() reaches the receiver through the proxy of the environment", async () => {
  await using receiver = await startNotificationReceiver();
  await using proxy = await startHttpProxy();
  const { caPem, received } = receiver;
  const url = receiver.url.replace("127.0.0.1", "phone.example.com");
  await send(`${url}/topic`, { caPem, env: { HTTPS_PROXY: proxy.url } });
  assert.match(proxy.heads.join(), /^CONNECT phone\.example\.com:\d+ HTTP/);
  assert.equal(received.length, 1);
});

test("createNotificationSender() posts over plain HTTP, without a signature", async () => {
  await using receiver = await startNotificationReceiver({ isPlain: true });
  await send(`${receiver.url}/topic`);
  assert.deepEqual(receiver.received.map(({ notification }) => notification), [NOTIFICATION]);
  assert.equal(receiver.received[0]?.headers["x-tlsboot-signature"], undefined);
});

for (
  const [status, isRetryable] of [[302, false], [400, false], [401, false], [404, false], [408, true], [429, true], [
    503,
    true,
  ]] as const
) {
  test(`createNotificationSender() throws for ${status}, which is ${isRetryable ? "" : "not "}retryable`, async () => {
    await using receiver = await startNotificationReceiver({ isPlain: true });
    receiver.status = status;
    await assert.rejects(send(`${receiver.url}/secret`), (error) => {
      assert.ok(isAppError(error, "api_error"));
      assert.equal(error.message, `"${new URL(receiver.url).host}" answered ${status}`);
      assert.equal(error.retryable, isRetryable);
      return true;
    });
  });
}

test("createNotificationSender() throws for a receiver that is not trusted, and for one that is down", async () => {
  const receiver = await startNotificationReceiver();
  await assert.rejects(send(`${receiver.url}/secret`), (error) => {
    assert.ok(isAppError(error, "tls_untrusted"));
    assert.doesNotMatch(error.message, /secret/);
    assert.equal(error.hint, "give the CA of the receiver with the setting notifyCaFile");
    return true;
  });
  await receiver[Symbol.asyncDispose]();
  for (const url of [receiver.url, receiver.url.replace("https", "http")]) {
    await assert.rejects(send(`${url}/secret`, receiver), (error) => {
      assert.ok(isAppError(error, "unreachable"));
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  }
});
