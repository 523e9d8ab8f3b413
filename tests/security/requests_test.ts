/** Handwritten requests: none is smuggled, no path is confused with another, and no identity header is trusted. */
import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { before, test } from "node:test";
import { MASTERS } from "../support/privilege/identities.ts";
import {
  createReader,
  CSRS,
  describeTestedInstance,
  READER,
  READER_HEADER,
} from "../support/privilege/tested_instance.ts";
import { sendRaw } from "../support/raw_http.ts";

const MAPS = "/api/v1/namespaces/default/configmaps";

/** Returns the status code of a request over HTTP/2, which allows any method, or 0 if the session ends instead. */
async function requestCodeOverHttp2(port: number, method: string, path: string): Promise<number> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  const code = await new Promise<number>((resolve) => {
    session.on("error", () => resolve(0));
    const headers = { ":method": method, ":path": path, authorization: `Bearer ${READER.name}` };
    const stream = session.request(headers);
    stream.on("response", (answer) => resolve(Number(answer[":status"]))).on("error", () => resolve(0)).resume();
  });
  session.destroy();
  return code;
}

const SMUGGLED = `GET /version HTTP/1.1\r\nHost: x\r\n\r\n`;

/** Requests that a proxy and a server could read differently. None may be answered twice. */
const SMUGGLING: readonly { readonly name: string; readonly bytes: string }[] = [
  {
    name: "Content-Length and Transfer-Encoding",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "two lengths",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nContent-Length: 0\r\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "a length with a sign",
    bytes: `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nContent-Length: +0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "an unknown encoding",
    bytes: `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nTransfer-Encoding: xchunked\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "chunked twice",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "another encoding before chunked",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "a space before a colon",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nContent-Length : ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "a folded header",
    bytes: `GET /version HTTP/1.1\r\nHost: x\r\nX-A: b\r\n Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  {
    name: "a line feed alone in a header",
    bytes: `POST ${MAPS} HTTP/1.1\r\nHost: x\r\nX-A: b\nContent-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  },
  { name: "a zero byte in a header", bytes: `GET /version HTTP/1.1\r\nHost: x\r\nX-A: b\0c\r\n\r\n` },
  {
    name: "an invalid chunk size",
    bytes:
      `POST ${MAPS} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n${SMUGGLED}`,
  },
  { name: "another protocol", bytes: `GET /version HTTP/9.9\r\nHost: x\r\n\r\n` },
  { name: "a request line with two targets", bytes: `GET /version /healthz HTTP/1.1\r\nHost: x\r\n\r\n` },
];

/** Paths that could be authorized as one resource and served as another, which must never reveal a Secret. */
const CONFUSING: readonly string[] = [
  "/healthz/../api/v1/namespaces/kube-system/secrets",
  "/healthz/%2e%2e/api/v1/namespaces/kube-system/secrets",
  "/version/..%2fapi/v1/namespaces/kube-system/secrets",
  "//api/v1/namespaces/kube-system/secrets",
  "/api//v1/namespaces/kube-system/secrets",
  "/api/v1/namespaces/kube-system//secrets",
  "/./api/v1/namespaces/kube-system/secrets",
  "/api/v1/namespaces/kube-system/secrets/",
  "/api/v1/namespaces/kube-system%2fsecrets",
  "/api/v1/namespaces/kube-public/../kube-system/secrets",
  "/api/v1/namespaces/kube-public/%2e%2e/kube-system/secrets",
  "/api/v1/namespaces/kube-public/configmaps/..%2f..%2fkube-system%2fsecrets",
  "/api/v1/namespaces/kube-public/configmaps/cluster-info/../../../kube-system/secrets",
  "/api/v1/watch/namespaces/kube-system/secrets",
  "/api/v1/proxy/namespaces/kube-system/secrets",
  "/API/v1/namespaces/kube-system/secrets",
  "/api/v1/namespaces/kube-system/secrets?watch=1&watch=0",
  "/api/v1/namespaces/kube-system/secrets;a=b",
  "/api/v1/namespaces/kube-system/secrets%00",
  "/api/v1/namespaces/kube-system/secrets%3f",
  // Any authenticated user may read the paths below /openapi, so a path that leaves it would reveal everything.
  "/openapi/../api/v1/namespaces/kube-system/secrets",
  "/openapi/%2e%2e/api/v1/namespaces/kube-system/secrets",
  "/openapi/..%2fapi/v1/namespaces/kube-system/secrets",
  "/openapi/v3/../../api/v1/namespaces/kube-system/secrets",
  "/openapi//api/v1/namespaces/kube-system/secrets",
  "/healthz?/api/v1/secrets",
  "/healthz#/api/v1/secrets",
  "/\\api\\v1\\secrets",
  "https://127.0.0.1/api/v1/namespaces/kube-system/secrets",
  "http://x@127.0.0.1/api/v1/namespaces/kube-system/secrets",
];

describeTestedInstance("handwritten requests", [READER], (instance) => {
  before(() => createReader(instance));

  for (const method of ["constructor", "__proto__", "toString", "CONSTRUCTOR", "PROPFIND"]) {
    test(`the method ${method} over HTTP/2 is not a verb, also in metrics`, async () => {
      // For a path that is not a resource, the method itself is the verb.
      for (const path of [MAPS, "/version"]) {
        const code = await requestCodeOverHttp2(instance.server.port, method, path);
        assert.ok([0, 400, 403, 405].includes(code), `${code}`);
      }
      const metrics = await instance.as(MASTERS, "GET", "/metrics");
      assert.ok(!metrics.text.includes("native code") && !metrics.text.includes("[object"), "no label is a function");
    });
  }

  for (const { name, bytes } of SMUGGLING) {
    test(`a request with ${name} smuggles nothing`, async () => {
      const answer = await sendRaw(instance.server.port, bytes);
      assert.ok(answer.codes.length <= 1, `answered ${answer.codes}: ${answer.text.slice(0, 600)}`);
      assert.ok(!answer.text.includes("gitVersion"), `the second request was answered: ${answer.text.slice(0, 600)}`);
    });
  }

  for (const path of CONFUSING) {
    test(`GET ${path} returns no Secret`, async () => {
      for (const headers of ["", `${READER_HEADER}\r\n`]) {
        const { text, codes } = await sendRaw(
          instance.server.port,
          `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers}Connection: close\r\n\r\n`,
        );
        assert.ok(!text.includes("SecretList") && !text.includes("bootstrap-token"), text.slice(0, 500));
        if (!/^\/healthz[?#]/.test(path)) assert.ok(codes.every((code) => code >= 400), `${codes}`);
      }
    });
  }

  for (
    const { name, lines } of [
      { name: "another host", lines: ["Host: evil.example"] },
      { name: "two hosts", lines: ["Host: a", "Host: b"] },
      { name: "no host", lines: [] },
      {
        name: "a forwarded client",
        lines: ["Host: x", "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1", "Forwarded: for=127.0.0.1"],
      },
      { name: "a front proxy's user", lines: ["Host: x", "X-Remote-User: root", "X-Remote-Group: system:masters"] },
      {
        name: "another method",
        lines: [
          "Host: x",
          "X-HTTP-Method-Override: DELETE",
          "X-Original-URL: /api/v1/secrets",
          "X-Rewrite-URL: /api/v1/secrets",
        ],
      },
      {
        name: "an upgrade",
        lines: ["Host: x", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"],
      },
    ]
  ) {
    test(`headers that claim ${name} give no permission`, async () => {
      const { text, codes } = await sendRaw(
        instance.server.port,
        [`GET /api/v1/secrets HTTP/1.1`, ...lines, "Connection: close", "", ""].join("\r\n"),
      );
      assert.ok(codes.length === 1 && [400, 403].includes(codes[0]!), `${codes} ${text.slice(0, 300)}`);
      assert.ok(!/evil\.example/.test(text), "the answer contains a host that the client claims");
    });
  }

  test("text from a client adds no header line", async () => {
    const injected = "x\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1 200 OK";
    const evil = encodeURIComponent(injected);
    for (
      const path of [
        `${MAPS}/${evil}`,
        `${MAPS}?fieldSelector=${evil}`,
        `${MAPS}?fieldManager=${evil}`,
        `/apis/${evil}/v1/a`,
        `${CSRS}/${evil}/approval`,
      ]
    ) {
      for (const method of ["GET", "POST", "DELETE"]) {
        const { text, codes } = await sendRaw(
          instance.server.port,
          `${method} ${path} HTTP/1.1\r\nHost: x\r\n${READER_HEADER}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
        );
        assert.ok(codes.length === 1, `${method} ${path}: ${codes}`);
        assert.doesNotMatch(text.split("\r\n\r\n")[0] ?? "", /^Set-Cookie/im);
      }
    }
    // Warnings about unknown fields are headers with text from the client.
    const unknown = { metadata: { name: "warned" }, [injected]: 1, "\u001b[2J\u202e": 2, '"\\': 3 };
    const body = JSON.stringify(unknown);
    const reply = await instance.as(MASTERS, "POST", `${MAPS}?dryRun=All&fieldValidation=Warn`, body);
    assert.equal(reply.code, 201, reply.text);
    assert.ok(!reply.text.includes("Set-Cookie"));
    const audit = await instance.as(MASTERS, "GET", "/version", undefined, { headers: { "audit-id": "a b\tc" } });
    assert.equal(audit.code, 200);
  });
});
