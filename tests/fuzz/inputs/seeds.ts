/** Seeds that several targets share: the vectors of the kinds. */
import { Buffer } from "node:buffer";
import { decodeObject } from "../../../core/kube/codec/decode.ts";
import { encodeObject, jsonText } from "../../../core/kube/codec/encode.ts";
import { parseJson } from "../../../core/kube/codec/json_parser.ts";
import { encodeEnvelope, encodeMessage } from "../../../core/kube/codec/protobuf.ts";
import { ALL_KINDS } from "../../../core/kube/kinds/mod.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";

import { type Vector, VECTORS } from "../../../core/kube/kinds/testdata/vectors.ts";
import type { KubeObject } from "../../../core/kube/meta.ts";
import { formatApiVersion, type Kind } from "../../../core/kube/schema.ts";
import { join } from "../mutate.ts";
import { type Bytes, encodeText } from "../target.ts";

/** The vector of a kind: one of upstream, or for a kind of tlsboot its content from below in our own encodings. */
export function getVector(kind: Kind): Vector {
  const own = OWN_CONTENTS[kind.plural];
  if (own === undefined) return VECTORS[kind.group === "events.k8s.io" ? "events_v1" : kind.plural]!;
  const { object } = decodeObject(kind.schema, { metadata: { name: "n", labels: { a: "b" } }, ...own });
  const written = encodeObject(kind, object);
  const body = encodeEnvelope(formatApiVersion(kind), kind.kind, encodeMessage(kind.schema, object));
  return {
    json: jsonText(written),
    yaml: formatYaml(written),
    protobuf: Buffer.from(body).toString("base64"),
  };
}

const TIME = "2026-01-01T00:00:00Z";
const OWN_CONTENTS: Readonly<Record<string, Readonly<Record<string, object>>>> = {
  issuedcertificates: {
    spec: {
      sequence: 2,
      previousHash: "ab",
      serialNumber: "0c",
      subject: "CN=a",
      dnsNames: ["a", "b"],
      isCA: true,
      notBefore: TIME,
      notAfter: TIME,
      issuedAt: TIME,
      requester: { username: "u", groups: ["g"], tokenID: "abcdef", address: "192.0.2.1" },
      approval: { username: "u", reason: "R", time: TIME },
      removed: { from: 1, hash: "cd", time: TIME },
    },
    status: {
      revocation: { name: "user:u", reason: "unspecified", time: TIME },
      seal: { time: TIME, issuerFingerprint: "ef", algorithm: "x", signature: "AQ==" },
    },
  },
  requestrecords: {
    spec: { requestUID: "1", address: "192.0.2.1", userAgent: "x/1" },
    status: { decision: { type: "Approved", username: "u", groups: ["g"], time: TIME } },
  },
  revocations: {
    spec: { token: "abcdef", includeCertificates: true, reason: "keyCompromise", message: "m" },
    status: { revokedBy: "u", revokedByGroups: ["g"], time: TIME },
  },
  carotations: {
    spec: {
      step: "Switch",
      isLeaked: true,
      oldCA: "a",
      newCA: "b",
      crossSignedCA: "c",
      renewBy: TIME,
      leftBehind: ["n"],
    },
    status: { servers: [{ name: "s", step: "Trust", message: "m", time: TIME }], beganAt: TIME, switchedAt: TIME },
  },
  trustreports: {
    spec: { trusted: ["ab"] },
    status: { username: "u", reportedAt: TIME, issuer: "cd", serialNumber: "0e", lastSeen: TIME },
  },
};

/** The object of a kind's vector, as it is stored. */
export function vectorObject(kind: Kind): KubeObject {
  const document = parseJson(getVector(kind).json);
  return decodeObject(kind.schema, document.value, document).object;
}

/** The kind that an input is for: its first byte says so, the rest is the body. */
export function kindAndBody(input: Bytes): { readonly kind: Kind; readonly body: Bytes } {
  return { kind: ALL_KINDS[(input[0] ?? 0) % ALL_KINDS.length]!, body: input.subarray(1) };
}

/** An input for a kind. */
export function forKind(kind: Kind, body: Bytes | string): Bytes {
  return join(Uint8Array.of(ALL_KINDS.indexOf(kind)), typeof body === "string" ? encodeText(body) : body);
}

/** Keeps the first byte apart from a change of the rest. */
export function behindKind<T extends unknown[]>(
  change: (body: Bytes, ...rest: T) => Bytes | undefined,
): (input: Bytes, ...rest: T) => Bytes | undefined {
  return (input, ...rest) => {
    const changed = change(input.subarray(1), ...rest);
    return changed && join(input.subarray(0, 1), changed);
  };
}

export function fromBase64(text: string): Bytes {
  return new Uint8Array(Buffer.from(text, "base64"));
}

export const JSON_WORDS: readonly string[] = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  '{"a":',
  '"N":1,',
  '"N":{},',
  '{"":',
  "[[",
  "null",
  "true",
  "1e999",
  "-0",
  "1.0,",
  "\\u0000",
  "\\ud800",
  '"__proto__":{}',
  '"metadata":',
  '"kind":"X",',
  '"apiVersion":"a/b/c"',
  '"labels":{',
  '"managedFields":[',
  " ",
  "\n",
];
