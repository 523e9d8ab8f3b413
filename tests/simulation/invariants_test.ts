/** Breaks each promise once, and checks that `Invariants` reports it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { KubeObject } from "../../core/kube/meta.ts";
import type { IssuedCertificate } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { createRecord, formatRecordName, hashRecord } from "../../core/register/record.ts";
import type { Stored } from "../../server/storage/storage.ts";
import { buildCsr, condition } from "../support/csr_builder.ts";
import { createSigningCa, issueClientCertificate } from "../support/signing_ca.ts";
import { hoursFromNow, NOW } from "../support/test_authority.ts";
import { type RecordedCall, toRecordedState } from "../torture/history.ts";
import { listIssued } from "../torture/register_audit.ts";
import { Invariants } from "./invariants.ts";

const ca = await createSigningCa();
const [certificate, other] = await Promise.all(
  ["a", "b"].map(async (name) => encodeBase64(await issueClientCertificate(ca, NOW, hoursFromNow(1), name))),
) as [string, string];
const csr = await buildCsr();

const MAP = "/registry/configmaps/default/one";
const REQUEST = "/registry/certificatesigningrequests/a";

function createMap(write: string): KubeObject {
  return { metadata: { name: "one", uid: "uid-one" }, data: { write } } as KubeObject;
}

function createRequest(name: string, types: readonly string[], issued = certificate): CertificateSigningRequest {
  const metadata = { ...csr.metadata, name, uid: `uid-${name}` };
  return { ...csr, metadata, status: { conditions: types.map((type) => condition(type)), certificate: issued } };
}

/** Creates the record of a request's certificate. */
function createIssued(request: CertificateSigningRequest, serialNumber: string, previous?: IssuedCertificate) {
  const spec = createRecord({
    fingerprint: listIssued([request])[0]!.fingerprint,
    serialNumber,
    request: { name: request.metadata.name!, uid: request.metadata.uid! },
    notBefore: null,
    notAfter: null,
  }, {
    sequence: (previous?.spec.sequence ?? 0) + 1,
    ...(previous === undefined ? {} : { previousHash: hashRecord(previous.spec) }),
    issuedAt: NOW,
  });
  return { metadata: { name: formatRecordName(spec.sequence) }, spec, status: {} } as IssuedCertificate;
}

function store(key: string, revision: number, object: KubeObject): Stored {
  return { key, revision, object, bytes: new Uint8Array(), size: 0 };
}

/** Creates the call of an acknowledged write of `one`. */
function acknowledge(revision: number, write: string): RecordedCall {
  const { metadata, ...rest } = createMap(write);
  const object = toRecordedState({ ...rest, metadata: { ...metadata, resourceVersion: `${revision}` } });
  return {
    kind: "call",
    client: "client-0",
    resource: "configmaps",
    begin: 0,
    end: 1,
    verb: "update",
    status: 200,
    object,
  };
}

const approved = createRequest("a", ["Approved"]);

for (
  const { name, happens, want } of [
    {
      name: "a write that is acknowledged before it is committed",
      happens: (it) => it.answered(acknowledge(2, "w-1")),
      want: /^client-0 was acknowledged one at revision 2, which was not committed$/,
    },
    {
      name: "a write that is acknowledged with the revision of another write",
      happens(it) {
        it.committed(MAP, 2, createMap("w-2"));
        it.answered(acknowledge(2, "w-1"));
      },
      want: /^client-0 was acknowledged w-1 at revision 2, where another write was committed$/,
    },
    {
      name: "a deletion that is acknowledged but not done",
      happens(it) {
        it.committed(MAP, 2, createMap("w-1"));
        const { object: _object, ...call } = acknowledge(3, "w-1");
        it.answered({ ...call, verb: "delete", deleted: "uid-one" });
      },
      want: /^client-0 was answered that an object was deleted, and it is there$/,
    },
    {
      name: "a store that starts without a write that was acknowledged",
      happens(it) {
        it.committed(MAP, 2, createMap("w-1"));
        it.started({ items: [], revision: 1, remaining: 0 });
      },
      want: /^a store starts at revision 1 without \/registry\/configmaps\/default\/one$/,
    },
    {
      name: "a store that starts with a write that was replaced",
      happens(it) {
        it.committed(MAP, 2, createMap("w-1"));
        it.committed(MAP, 3, createMap("w-2"));
        it.started({ items: [store(MAP, 2, createMap("w-1"))], revision: 2, remaining: 0 });
      },
      want: /^a store starts at revision 2 without revision 3$/,
    },
    {
      name: "a server that has lost an object",
      happens(it) {
        it.committed(MAP, 2, createMap("w-1"));
        it.shown("server-0", []);
      },
      want: /^server-0 has lost \/registry\/configmaps\/default\/one$/,
    },
    {
      name: "a server that shows an old state",
      happens(it) {
        it.committed(MAP, 2, createMap("w-1"));
        it.committed(MAP, 3, createMap("w-2"));
        it.shown("server-0", [store(MAP, 2, createMap("w-1"))]);
      },
      want: /^server-0 shows \/registry\/configmaps\/default\/one of revision 2 instead of 3$/,
    },
    {
      name: "a server that shows a deleted object",
      happens: (it) => it.shown("server-0", [store(MAP, 2, createMap("w-1"))]),
      want: /^server-0 shows \/registry\/configmaps\/default\/one, which was deleted$/,
    },
    {
      name: "revisions that decrease",
      happens(it) {
        it.committed(MAP, 3, createMap("w-1"));
        it.committed(MAP, 2, createMap("w-2"));
      },
      want: /^revision 2 of \S+ was committed after 3$/,
    },
    {
      name: "a certificate without an approval",
      happens: (it) => it.committed(REQUEST, 2, createRequest("a", [])),
      want: /^request a has a certificate without an approval$/,
    },
    {
      name: "a certificate of a denied request",
      happens: (it) => it.committed(REQUEST, 2, createRequest("a", ["Approved", "Denied"])),
      want: /^request a has a certificate although it was denied$/,
    },
    {
      name: "an approval that is withdrawn",
      happens(it) {
        it.committed(REQUEST, 2, createRequest("a", ["Approved"], ""));
        it.committed(REQUEST, 3, createRequest("a", [], ""));
      },
      want: /^request a was Approved, and is not any more$/,
    },
    {
      name: "a certificate that is replaced",
      happens(it) {
        it.committed(REQUEST, 2, createRequest("a", ["Approved"], other));
        it.committed(REQUEST, 3, approved);
      },
      want: /^request a has another certificate$/,
    },
    {
      name: "a serial number of two requests",
      happens(it) {
        it.committed(REQUEST, 2, approved);
        it.committed(`${REQUEST}-b`, 3, createRequest("b", ["Approved"]));
      },
      want: /^serial number [0-9a-f]+ was issued twice$/,
    },
    {
      name: "a serial number of two records",
      happens(it) {
        const first = createIssued(approved, "1f");
        it.committed("/registry/tlsboot/issuedcertificates/0000000001", 2, first);
        it.committed("/registry/tlsboot/issuedcertificates/0000000002", 3, createIssued(approved, "1f", first));
      },
      want: /^records 0000000001 and 0000000002 have the serial number 1f$/,
    },
    {
      name: "a certificate without a record",
      happens: (it) => it.committed(REQUEST, 2, approved),
      want: /^serial number [0-9a-f]+: its certificate has no record$/,
    },
    {
      name: "an approved request that gets no certificate",
      happens: (it) => it.committed(REQUEST, 2, createRequest("a", ["Approved"], "")),
      want: /^request a was approved and gets no certificate$/,
    },
  ] satisfies readonly { name: string; happens: (it: Invariants) => void; want: RegExp }[]
) {
  test(`Invariants finds ${name}`, async () => {
    const faults: string[] = [];
    let nowMs = 0;
    const invariants = new Invariants((fault) => void faults.push(fault), () => nowMs);
    happens(invariants);
    nowMs = 61_000;
    await invariants.end([]);
    assert.match(faults[0] ?? "nothing", want, faults.join("\n"));
  });
}

test("Invariants allows a store to start with a last commit that was not acknowledged", async () => {
  const faults: string[] = [];
  const invariants = new Invariants((fault) => void faults.push(fault), () => 0);
  invariants.committed(MAP, 2, createMap("w-1"));
  invariants.answered(acknowledge(2, "w-1"));
  const items = [store(MAP, 3, createMap("w-2"))];
  invariants.started({ items, revision: 3, remaining: 0 });
  invariants.shown("server-0", items);
  await invariants.end([ca.certificate]);
  assert.deepEqual(faults, []);
});
