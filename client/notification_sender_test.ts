import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { createNotification, type NotifiedEvent } from "../core/report/notification.ts";
import { isAppError } from "../core/errors.ts";
import { Secret } from "../core/lib/brand.ts";
import { createFakeClock } from "../tests/support/fake_clock.ts";
import { startHttpProxy } from "../tests/support/http_proxy.ts";
import { startNotificationReceiver } from "../tests/support/notification_receiver.ts";
import { parseReceiver } from "../core/lib/proxy.ts";
import { createNotificationSender, type NotificationSenderOptions } from "./notification_sender.ts";

const NEVER = new AbortController().signal;
// The certificate of the receiver is valid now.
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
  test(`parseReceiver() refuses "${text}" without a quote of it`, () => {
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
