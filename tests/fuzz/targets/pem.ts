import { encodePem, parsePemBlocks } from "../../../core/pki/asn1/pem.ts";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import { formatTime } from "../../../core/kube/meta.ts";
import {
  validatePodRequestCreate,
  validatePodRequestStatusUpdate,
} from "../../../core/request/validate_pod_request.ts";
import { parseCaBundle } from "../../../core/pki/x509/ca_bundle.ts";
import { validateTrustBundleCreate } from "../../../core/signing/cluster_trust_bundle.ts";
import { FULL_REQUEST, REQUEST_VECTORS } from "../../support/request_vectors.ts";
import { TRUST_ANCHOR } from "../../support/trust_anchor.ts";
import { assertHolds, assertSame } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";
import { makeCertificates } from "../inputs/certificates.ts";
import { fromBase64 } from "../inputs/seeds.ts";
import { buildPodRequest } from "../../support/pod_request_builder.ts";

const BLOCK = encodePem("CERTIFICATE REQUEST", fromBase64(FULL_REQUEST));

export const pem: Target = {
  seeds: [
    encodeText(BLOCK),
    encodeText(`text before\n${BLOCK}text after\n${BLOCK}`),
    encodeText("-----BEGIN X-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: a\n\nAAAA\n-----END X-----\n"),
    encodeText(encodePem("EMPTY", new Uint8Array(0))),
    ...REQUEST_VECTORS.slice(0, 3).map(({ base64 }) => encodeText(encodePem("X", fromBase64(base64)))),
  ],
  words: [
    "-----BEGIN ",
    "-----END ",
    "-----",
    "-----BEGIN X-----\n",
    "-----END X-----\n",
    "\n-----END ",
    "\n-----END X-----\n",
    "AAAA",
    "A: b\n",
    "-----BEGIN X-----\nAAAA\n-----END X-----\n",
    "-----BEGIN X-----\n-----END Y-----\n",
    "\n-----BEGIN X",
  ],
  maxBytes: 3 * 2 ** 20,
  run(input) {
    const blocks = parsePemBlocks(decodeText(input));
    for (const { label, bytes } of blocks.slice(0, 20)) {
      const [again, ...more] = parsePemBlocks(encodePem(label, bytes));
      assertHolds(more.length === 0 && again !== undefined, "an encoded block is one block");
      assertSame([again?.label, again?.bytes], [label, bytes], "block");
    }
    return `${Math.min(blocks.length, 3)} ${blocks.some(({ headers }) => Object.keys(headers).length > 0)}`;
  },
};

export const trustBundle: Target = {
  seeds: [TRUST_ANCHOR, `text before\n${TRUST_ANCHOR}${BLOCK}`, TRUST_ANCHOR.repeat(2)].map(encodeText),
  words: ["CERTIFICATE", ...pem.words],
  maxBytes: 2 ** 21,
  run(input) {
    const trustBundle = decodeText(input);
    const faults = validateTrustBundleCreate({ metadata: { name: "a" }, spec: { trustBundle } });
    if (faults.length === 0) {
      const blocks = parsePemBlocks(trustBundle).map(({ label, bytes }) => encodePem(label, bytes));
      assertHolds(parseCaBundle(blocks.join("")).ok, "the blocks of an accepted bundle are CAs");
    }
    return `${Math.min(faults.length, 3)} ${faults[0]?.message.replace(/\d+/g, "0") ?? ""}`;
  },
};

/** `pod_chain`: the chain that a signer writes into the status of a PodCertificateRequest, and the request in its spec. */
export async function podChain(): Promise<Target> {
  const now = new Date("2026-06-01T00:00:00Z");
  const request = await buildPodRequest();
  const [certificate = new Uint8Array()] = await makeCertificates();
  const leaf = encodePem("CERTIFICATE", certificate);
  return {
    seeds: [leaf, `text before\n${leaf}${BLOCK}`, leaf.repeat(2)].map(encodeText),
    words: ["CERTIFICATE", ...pem.words],
    maxBytes: 2 ** 21,
    run(input) {
      const text = decodeText(input);
      const condition = {
        type: "Issued",
        status: "True",
        lastTransitionTime: formatTime(now),
        reason: "R",
        message: "",
      };
      const status = { conditions: [condition], certificateChain: text };
      const stubPKCS10Request = encodeBase64(input);
      const written = validatePodRequestStatusUpdate({ ...request, status }, request, now);
      const created = validatePodRequestCreate({ ...request, spec: { ...request.spec, stubPKCS10Request } });
      return [...written, ...created].map(({ field }) => field).join();
    },
  };
}
