/** Requests and answers on a stick, as they are found there and with a checksum that matches again. */
import { parseCertificateChain } from "../../../core/bootstrap/credential_pair.ts";
import { encodeOfflineAnswer, parseOfflineAnswer } from "../../../core/offline/answer_file.ts";
import { decideAnswer } from "../../../core/offline/check_answer.ts";
import { encodeDocument } from "../../../core/offline/document.ts";
import {
  computeRequestId,
  encodeOfflineRequest,
  findRequesterFault,
  parseOfflineRequest,
  proveRequester,
} from "../../../core/offline/request_file.ts";
import { generatePrivateKey } from "../../../core/pki/keys.ts";
import { createCertificationRequest, parseCertificationRequest } from "../../../core/pki/pkcs10.ts";
import { publicKeyPin } from "../../../core/pki/public_key_pin.ts";
import { createIssuingCa } from "../../support/issuing_ca.ts";
import { assertSame, resultOutcome } from "../oracle.ts";
import { decodeText, encodeText, type Target } from "../target.ts";

const NOW = new Date("2026-01-01T00:00:00Z");
const SUBJECT = { commonName: "system:node:n1" };

/** Files of both kinds. What is read must be read the same after it was written again. */
export async function offline(): Promise<Target> {
  const ca = await createIssuingCa(NOW);
  const key = await generatePrivateKey("ecdsa-p256");
  const facts = parseCertificationRequest(createCertificationRequest({ subject: SUBJECT, dnsNames: ["n1"] }, key));
  const chain = parseCertificateChain(await ca.issue({ publicKeyDer: key.publicKeyDer(), subject: SUBJECT }));
  if (!facts.ok || !chain.ok) throw new Error("the seeds cannot be made");
  const cas = [ca.authority.certificate];
  const plain = {
    name: "n1",
    facts: facts.value,
    signerName: "example.com/web",
    usages: ["client auth", "server auth"],
    expirationSeconds: 86_400,
    site: [publicKeyPin(ca.authority.certificate)],
  };
  const id = computeRequestId(plain);
  const proved = { ...plain, requester: { chain: chain.value, signature: proveRequester(id, key) } };
  const answer = (verdict: Parameters<typeof encodeOfflineAnswer>[1]): Promise<string> =>
    encodeOfflineAnswer(plain, verdict, { serverCas: cas, server: "https://10.0.0.1:6443" }, ca.authority, NOW);
  const subject = "CN=system:node:n1";
  const expected = {
    subject,
    key: publicKeyPin(facts.value),
    requestId: id,
    stored: chain.value[0],
    site: [],
    now: NOW,
  };
  return {
    name: "offline",
    seeds: [
      encodeOfflineRequest(plain),
      encodeOfflineRequest(proved).replaceAll("\n", "\r\n"),
      await answer({ kind: "signed", chain: chain.value }),
      await answer({ kind: "refused", reason: "it is not one of ours" }),
    ].map(encodeText),
    words: ["# end\n", "# certificate request\n", "Checksum: ", "Lifetime: 1h0m0s\n", "CA: not known yet\n", "Proof: "],
    maxBytes: 2 ** 20,
    run(input) {
      const text = decodeText(input);
      return [text, repair(text)].map((one) => {
        const request = parseOfflineRequest(one);
        if (request.ok) {
          assertSame(parseOfflineRequest(encodeOfflineRequest(request.value)), request, "request");
          findRequesterFault(request.value, cas, NOW);
        }
        const read = parseOfflineAnswer(one);
        return `${resultOutcome(request)} ${resultOutcome(read)} ${
          read.ok ? decideAnswer(read.value, expected).kind : ""
        }`;
      }).join(" ");
    },
  };
}

/** Writes what is between the first line and the end again, with the checksum that it needs. */
function repair(text: string): string {
  const [title = "", ...lines] = text.split("\n").map((line) => line.trimEnd());
  const headers = new Map<string, string>();
  const sections = new Map<string, string>();
  let heading: string | undefined;
  for (const line of lines) {
    const [, name, value = ""] = /^([A-Z][A-Za-z ]*):(?: (.*))?$/.exec(line) ?? [];
    if (line.startsWith("# ")) sections.set(heading = line.slice(2), "");
    else if (heading !== undefined) sections.set(heading, `${sections.get(heading)}${line}\n`);
    else if (name !== undefined && name !== "Checksum") headers.set(name, value);
  }
  sections.delete("end");
  return encodeDocument({ title, headers, sections });
}
