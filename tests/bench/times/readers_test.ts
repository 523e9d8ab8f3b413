/** Readers of texts and objects take linear time; `heads_test.ts` and `bodies_test.ts` have those of requests. */
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { readYaml } from "../../../core/lib/yaml/document.ts";
import { formatYaml } from "../../../core/lib/yaml/format.ts";
import {
  encodeArmor,
  encodeQrTexts,
  findArmorKind,
  hasQrTexts,
  readArmor,
  readQrTexts,
} from "../../../core/offline/armor.ts";
import { isMailAddress } from "../../../core/pki/x509/name_syntax.ts";
import { findIssuedFault } from "../../../core/request/issued_certificate.ts";
import { validatePodRequestCreate } from "../../../core/request/validate_pod_request.ts";
import { findRevocationTarget, toRevocationName } from "../../../core/revocation/revocation.ts";
import { RecordedCertificates, RevocationIndex } from "../../../core/revocation/revocation_index.ts";
import { parseJwt } from "../../../core/service_accounts/jwt.ts";
import { validateTrustBundleCreate } from "../../../core/signing/cluster_trust_bundle.ts";
import { formatFieldError } from "../../../core/kube/status/field_error.ts";
import { planFinalizersAfterDeletion } from "../../../server/registry/delete.ts";
import { assertLinear } from "../../support/growth.ts";
import { buildPodRequest } from "../../support/pod_request_builder.ts";
import { createSigningCa } from "../../support/signing_ca.ts";

/** Declares a test of a reader for each piece that an input of a given size repeats. */
function testPieces<Input>(
  name: string,
  pieces: readonly string[],
  limit: number,
  read: (input: Input) => unknown,
  input: (repeated: string, size: number, piece: string) => Input,
): void {
  for (const piece of pieces) {
    test(`${name} takes linear time for ${JSON.stringify(piece)}`, () =>
      assertLinear({
        limit,
        read,
        input: (size) => input(piece.repeat(Math.ceil(size / piece.length)), size, piece),
      }));
  }
}

const same = (text: string): string => text;
const times = <T>(size: number, make: (index: number) => T): T[] => Array.from({ length: size }, (_, at) => make(at));

const YAML = ["? ", "- ", "[", "{", "&a ", "a: ", "#\n", "? [a]\n", "- *a\n", "a ", "'", "\n", "---\n", "a: [\n]\n"]
  .concat("a: [ # # #\n]\n", "# ", "- &a a:\n", "[a: ", '"\\\n');
testPieces("readYaml()", YAML, 4_096, (text: string) => readYaml(text), same);
test("readYaml() takes linear time for many keys", () =>
  assertLinear({
    limit: 65_536,
    input: (size) => times(size / 8, (index) => `k${index}: 1\n`).join(""),
    read: (text) => readYaml(text),
  }));
testPieces(
  "formatYaml()",
  ["1", "0", "a", "a1"],
  16_384,
  formatYaml,
  (text) => Object.fromEntries(times(32, (index) => [`${text}!${index.toString(2)}`, ""])),
);

const KIND = "tests";
const TITLE = `# tlsboot ${KIND}, part 1 of 2\n`;
const ARMOR = encodeArmor(KIND, [{
  headers: { "Name": "ü%=> ".repeat(40) },
  sections: { "certificate": [{ label: "CERTIFICATE", bytes: new Uint8Array(200) }] },
}]);
const readAnyArmor = (text: string) => [findArmorKind(text), readArmor(text, KIND)];
testPieces(
  "readArmor()",
  [TITLE, "> ", "A: b\n", "# a\nAAAA\n", "AAAA\n", "\t", ARMOR, "Name:%20", "-----BEGIN A-----\n", "=3D"],
  2 ** 18,
  readAnyArmor,
  (text) => `${text}${TITLE}${text}`,
);
test("readArmor() takes linear time for many headings", () =>
  assertLinear({
    limit: 2 ** 19,
    read: readAnyArmor,
    input: (size) => TITLE + times(Math.ceil(size / 12), (at) => `# a${at}\nAAAA\n`).join(""),
  }));
testPieces(
  "readQrTexts()",
  ["TLSB1", "TLSB1AAAAAAAA00019999AAAAAAAAMY", `${encodeQrTexts(ARMOR)?.[0]}\n`, "' ", "A"],
  2 ** 19,
  (text: string) => hasQrTexts(text) || readQrTexts(text),
  same,
);

testPieces("isMailAddress()", ["a.", '"a" ', "a ", '"\\\\', "a@", "<"], 102_400, isMailAddress, same);

const encode = (text: string): string => Buffer.from(text).toString("base64url");
testPieces(
  "parseJwt()",
  ['"a":1,', "[", '{"a":', "\\u0000"],
  2 ** 18,
  parseJwt,
  (text) => `${encode(JSON.stringify({ alg: "ES256" }))}.${encode(`{"a":"${text}`)}.AA`,
);
testPieces("parseJwt()", [".", "A"], 1_000_000, parseJwt, same);

const TRUST = [
  "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n",
  "-----BEGIN A-----\n",
  "-----END A-----\n",
];
testPieces(
  "validateTrustBundleCreate()",
  TRUST,
  1_048_576,
  (trustBundle: string) =>
    validateTrustBundleCreate({ metadata: { name: "b" }, spec: { trustBundle } }).map(formatFieldError),
  same,
);

test("validatePodRequestCreate() takes linear time, whatever the request contains", async () => {
  const request = await buildPodRequest();
  await assertLinear({
    limit: 3_145_728,
    read: validatePodRequestCreate,
    input: (size) => {
      const text = "a-".repeat(size / 8);
      const spec = {
        signerName: `${text}.com/${text}`,
        podName: text,
        nodeName: text,
        stubPKCS10Request: "MIIB".repeat(size / 16),
        unverifiedUserAnnotations: Object.fromEntries(times(size / 64, (index) => [`Example.com/${index}-`, ""])),
      };
      return { ...request, spec: { ...request.spec, ...spec } };
    },
  });
});

test("findIssuedFault() takes linear time", async () => {
  const { certificate } = await createSigningCa();
  const { subject } = certificate;
  await assertLinear({
    limit: 10_000,
    input: (size) => times(size, (index) => `n${index}.example.com`),
    read: (dnsNames) => findIssuedFault({ ...certificate, dnsNames }, { subject, dnsNames }),
  });
});

test("RevocationIndex takes linear time for as many lookups as it has revocations", async () => {
  const user = { username: "system:node:other", groups: times(20, (number) => `group-${number}`) };
  const presented = { serialNumber: "99", fingerprint: "f99", notBefore: new Date(0) };
  await assertLinear({
    limit: 10_000,
    input(size) {
      const index = new RevocationIndex(new RecordedCertificates().findByFingerprint);
      index.replace(times(size, (number) => {
        const text = number.toString(16).padStart(6, "0");
        const specs = [{ serialNumber: text }, { user: text }, { group: text }, { node: `n${text}` }, { token: text }];
        const spec = { reason: "keyCompromise", ...specs[number % specs.length] };
        const status = { revokedBy: "root", time: "2026-11-28T02:00:00Z", lastSequence: 10 };
        return { metadata: { name: toRevocationName(findRevocationTarget(spec)!) }, spec, status };
      }));
      return { size, index };
    },
    read({ size, index }) {
      for (let lookup = 0; lookup < size; lookup++) index.findForCredential(user, presented);
    },
  });
});

test("planFinalizersAfterDeletion() takes linear time", () =>
  assertLinear({
    limit: 16_384,
    input: (size) => ({ metadata: { name: "a", finalizers: times(size, (index) => `a/${index}`) } }),
    read: (object) => planFinalizersAfterDeletion(object, {}, {}),
  }));
