import assert from "node:assert/strict";
import { test } from "node:test";
import { assertReleases, etcdError, findWriteRefusal, isUnanswered } from "./errors.ts";
import { GRPC_STATUS, GrpcError } from "./grpc.ts";

/** Creates the error of a connection that could not be opened. */
function unconnected(message: string): GrpcError {
  return new GrpcError(GRPC_STATUS.unavailable, message, true);
}

const ALERT = "SSL routines:ssl3_read_bytes:tlsv13 alert";

for (
  const { name, error, message, hint } of [
    {
      name: "connection refused",
      error: unconnected("connect ECONNREFUSED 127.0.0.1:1"),
      message: "connect ECONNREFUSED 127.0.0.1:1",
      hint: /a majority/,
    },
    {
      name: "a connection that broke",
      error: new GrpcError(GRPC_STATUS.unavailable, "write EPIPE"),
      message: "write EPIPE",
      hint: /a majority/,
    },
    {
      name: "no client certificate",
      error: unconnected(`403D46091B7F0000:error:0A00045C:${ALERT} certificate required:rec_layer_s3.c:918\n`),
      message: "it wants a client certificate",
      hint: /^give the setting etcdCertfile and the setting etcdKeyfile$/,
    },
    ...["unknown ca", "bad certificate", "certificate expired", "unsupported certificate"].map((alert) => ({
      name: `our certificate: ${alert}`,
      error: unconnected(`403D46091B7F0000:error:0A000418:${ALERT} ${alert}:rec_layer_s3.c:918\n`),
      message: "it refuses our client certificate",
      hint: /--trusted-ca-file/,
    })),
    ...["unable to verify the first certificate", "self-signed certificate in certificate chain", "UnknownIssuer"].map(
      (text) => ({
        name: `its certificate: ${text}`,
        error: unconnected(text),
        message: "its certificate is signed by an unknown authority",
        hint: /the setting etcdCafile/,
      }),
    ),
    {
      name: "its certificate has expired",
      error: unconnected("certificate has expired"),
      message: "its certificate is not valid at this time",
      hint: /clock/,
    },
    {
      name: "its certificate is for another name",
      error: unconnected("Error [ERR_TLS]: Hostname/IP does not match certificate's altnames: Host: a. is not b"),
      message: "its certificate does not name the host in the setting etcdServers",
      hint: /add the name/,
    },
    {
      name: "TLS to a port without TLS",
      error: unconnected("Error: SSL routines:tls_validate_record_header:wrong version number:tlsany_meth.c:77:\n"),
      message: "it does not speak TLS",
      hint: /http:/,
    },
    {
      name: "a plain connection to a port with TLS",
      error: unconnected("the server does not speak HTTP/2"),
      message: "it does not answer as etcd's client port does",
      hint: /https:/,
    },
    {
      name: "a full etcd",
      error: new GrpcError(GRPC_STATUS.resourceExhausted, "etcdserver: mvcc: database space exceeded"),
      message: "etcdserver: mvcc: database space exceeded",
      hint: /defragment/,
    },
    ...[GRPC_STATUS.unauthenticated, GRPC_STATUS.permissionDenied].map((status) => ({
      name: `status ${status}`,
      error: new GrpcError(status, "etcdserver: permission denied"),
      message: "etcdserver: permission denied",
      hint: /check the setting etcdCafile/,
    })),
    {
      name: "a fault of etcd itself",
      error: new GrpcError(GRPC_STATUS.internal, "etcdserver: corrupt cluster"),
      message: "etcdserver: corrupt cluster",
      hint: /^check etcd's log$/,
    },
  ]
) {
  test(`etcdError() describes: ${name}`, () => {
    const reported = etcdError("read", error);
    assert.equal(reported.message, `cannot read etcd: ${message}`);
    assert.match(reported.hint ?? "", hint);
  });
}

test("isUnanswered() is true for a member that cannot be trusted, so that another one is tried", () => {
  assert.ok(isUnanswered(unconnected("unable to verify the first certificate")));
  assert.ok(!isUnanswered(new GrpcError(GRPC_STATUS.internal, "etcdserver: corrupt cluster")));
  assert.ok(!isUnanswered(new GrpcError(GRPC_STATUS.resourceExhausted, "database space exceeded")));
});

test("findWriteRefusal() finds a full etcd and a value that is too large, and nothing else", () => {
  const why = (text: string) => findWriteRefusal(new Error(text))?.why;
  assert.equal(why("8 RESOURCE_EXHAUSTED: etcdserver: mvcc: database space exceeded"), "full");
  assert.equal(why("3 INVALID_ARGUMENT: etcdserver: request is too large"), "tooLarge");
  assert.equal(why("14 UNAVAILABLE: etcdserver: request timed out"), undefined);
  assert.equal(why("request is too large"), undefined);
});

test("assertReleases() refuses releases before 3.5.13", () => {
  for (const version of ["3.5.13", "3.5.35", "3.6.0", "3.6.0-rc.1", "3.7.3", "3.10.0", "4.0.0", ""]) {
    assertReleases([{ version }]);
  }
  for (const version of ["3.5.12", "3.5.0", "3.4.99", "2.9.20"]) {
    assert.throws(
      () => assertReleases([{ version: "3.7.0" }, { version }]),
      { code: "io", message: `cannot use etcd ${version}: 3.5.13 or later is needed` },
    );
  }
});
