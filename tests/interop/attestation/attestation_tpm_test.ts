/**
 * TPM proofs with swtpm. Our machine and our server each run against tpm2-tools and go-tpm, and endorsement
 * certificates come from swtpm's CA.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { createSystemClock } from "../../../cli/system.ts";
import { createTpmDevice, openTpmTransport, type TpmDevice, TpmError } from "../../../client/attestation/tpm_device.ts";
import type { Prover } from "../../../client/attestation/attest.ts";
import { createDeviceProver } from "../../../client/attestation/tpm_prover.ts";
import {
  makeCredential,
  parseEndorsementAuthority,
  readAttestationKey,
  type TpmCredential,
  verifyEndorsement,
  verifyQuote,
} from "../../../core/attestation/tpm_proof.ts";
import {
  ATTESTATION_TEMPLATE,
  computeTpmName,
  ENDORSEMENT_TEMPLATES,
  parsePublicArea,
  parseTpmKey,
  readTpm,
  TPM_ATTRIBUTE,
  tpmBuffer,
} from "../../../core/attestation/tpm_structures.ts";
import { concatBytes, decodeBase64, encodeBase64, encodeHex, encodeUint } from "../../../core/lib/encodings.ts";
import type { Bytes } from "../../../core/pki/asn1/der.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { ROOT, succeedProgram } from "../../support/child.ts";
import { peerPath } from "../../support/peers/go.ts";
import { recordTpm, type TpmExchange } from "../../support/recorded_tpm.ts";
import { createSeededRandom } from "../../support/seeded_random.ts";
import { unwrap } from "../../support/test_authority.ts";
import { startCertifiedSwtpm, startSwtpm, type Swtpm } from "../../support/interop/swtpm.ts";

const random = createSeededRandom();
const SECRET = Uint8Array.from({ length: 32 }, (_, at) => 2 * at);
const MESSAGE = new TextEncoder().encode("tlsboot node attestation v1\nnode: n1\n");
const NONCE = Uint8Array.from(createHash("sha256").update(MESSAGE).digest());
/** More PCRs than a TPM reads at once. */
const PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 11];
const ALGORITHMS = ["rsa", "ecc"] as const;

type Algorithm = typeof ALGORITHMS[number];
type TpmEvidence = Awaited<ReturnType<Prover<"tpm">["evidence"]>>;

/** Opens the TPM. For `ecc` it refuses RSA keys, like a TPM that does not support them. */
async function openDevice({ path }: Swtpm, algorithm: Algorithm, exchanges: TpmExchange[] = []): Promise<TpmDevice> {
  const device = createTpmDevice(recordTpm(await openTpmTransport(path), exchanges), {
    clock: createSystemClock(),
    random: createSeededRandom(),
    signal: new AbortController().signal,
  });
  return {
    ...device,
    createPrimary: (template) =>
      algorithm === "ecc" && template.key.kind === "rsa"
        ? Promise.reject(new TpmError("create a key in the TPM", 0x84))
        : device.createPrimary(template),
  };
}

/** Converts the endorsement key of a TPMT_PUBLIC to DER. */
function toSpki(publicArea: Bytes): Bytes {
  return unwrap(parseTpmKey(unwrap(parsePublicArea(publicArea)))).der;
}

/** Plays both sides: makes a challenge as the server does, answers it as the machine does, and verifies the answer. */
async function prove(prover: Prover<"tpm">): Promise<{ evidence: TpmEvidence; challenge: TpmCredential }> {
  const evidence = await prover.evidence();
  const key = unwrap(readAttestationKey(evidence.attestationKey));
  const challenge = await makeCredential(evidence.endorsementKey, key.name, SECRET, random);
  const { secret, ...quoted } = await prover.prove({ kind: "tpm", ...challenge, pcrs: PCRS }, MESSAGE);
  assert.deepEqual(secret, SECRET);
  assert.deepEqual(
    unwrap(verifyQuote({ attestationKey: key, qualifyingData: NONCE, pcrs: PCRS, ...quoted })),
    undefined,
  );
  return { evidence, challenge };
}

/** The output of the go-tpm peer, with bytes in base64. */
interface PeerAnswer {
  readonly endorsementKey?: string;
  readonly attestationKey?: string;
  readonly credential?: string;
  readonly encryptedSecret?: string;
  readonly secret?: string;
  readonly quote?: string;
  readonly signature?: string;
  readonly pcrs?: Readonly<Record<string, string>>;
}

/** Runs an action of the go-tpm peer. */
async function runPeer(action: string, request: object): Promise<PeerAnswer> {
  const { stdout } = await succeedProgram(peerPath("tpm-peer"), [action], { stdin: JSON.stringify(request) });
  return JSON.parse(stdout);
}

function decode(base64 = ""): Bytes {
  const bytes = decodeBase64(base64);
  assert.ok(bytes !== undefined);
  return bytes;
}

for (const algorithm of ALGORITHMS) {
  describe(`an endorsement key of ${algorithm}`, () => {
    test("our machine proves its identity to our server, twice with the same keys", async () => {
      await using swtpm = await startSwtpm();
      const prover = createDeviceProver(() => openDevice(swtpm, algorithm));
      const first = await prove(prover);
      assert.deepEqual((await prove(prover)).evidence, first.evidence);
      for (const kind of ["handles-transient", "handles-loaded-session"]) {
        assert.equal((await swtpm.tryTool("getcap", kind)).stdout, "", "a handle is still in use");
      }
    });

    test("the TPM refuses a challenge for another key or another TPM", async () => {
      await using swtpm = await startSwtpm();
      const prover = createDeviceProver(() => openDevice(swtpm, algorithm));
      const evidence = await prover.evidence();
      const name = computeTpmName(evidence.attestationKey);
      const otherName = await makeCredential(evidence.endorsementKey, name.with(9, name[9]! ^ 1), SECRET, random);
      await assert.rejects(
        prover.prove({ kind: "tpm", ...otherName, pcrs: PCRS }, MESSAGE),
        /cannot answer the challenge: it is for another key or another TPM/,
      );
      await using other = await startSwtpm();
      const otherEvidence = await createDeviceProver(() => openDevice(other, algorithm)).evidence();
      const otherTpm = await makeCredential(otherEvidence.endorsementKey, name, SECRET, random);
      await assert.rejects(
        prover.prove({ kind: "tpm", ...otherTpm, pcrs: PCRS }, MESSAGE),
        /cannot answer the challenge: /,
      );
    });

    test("our server challenges tpm2-tools, and verifies their quote", async () => {
      await using swtpm = await startSwtpm();
      await swtpm.tool("createek", "-c", "ek.ctx", "-G", algorithm, "-u", "ek.pub");
      const scheme = algorithm === "rsa" ? "rsassa" : "ecdsa";
      await swtpm.tool(
        ...["createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", algorithm, "-g", "sha256"] as const,
        ...["-s", scheme, "-u", "ak.pub", "-n", "ak.name"],
      );
      const [endorsementKey, publicArea] = [await swtpm.read("ek.pub"), await swtpm.read("ak.pub")].map((bytes) =>
        unwrap(readTpm(bytes, (reader) => reader.sized()))
      ) as [Bytes, Bytes];
      const attestationKey = unwrap(readAttestationKey(publicArea));
      assert.deepEqual(attestationKey.name, await swtpm.read("ak.name"));

      const { credential, secret } = await makeCredential(toSpki(endorsementKey), attestationKey.name, SECRET, random);
      await swtpm.write("credential", concatBytes(CREDENTIAL_HEADER, credential, secret));
      await swtpm.tool("startauthsession", "--policy-session", "-S", "session.ctx");
      await swtpm.tool("policysecret", "-S", "session.ctx", "-c", "e");
      await swtpm.tool(
        ...["activatecredential", "-c", "ak.ctx", "-C", "ek.ctx", "-i", "credential"] as const,
        ...["-o", "secret", "-P", "session:session.ctx"],
      );
      assert.deepEqual(await swtpm.read("secret"), SECRET);

      const selection = `sha256:${PCRS.join(",")}`;
      await swtpm.tool("pcrextend", `11:sha256=${"7".repeat(64)}`);
      await swtpm.tool("pcrread", selection, "-o", "values");
      await swtpm.tool(
        ...["quote", "-c", "ak.ctx", "-l", selection, "-q", encodeHex(NONCE), "-g", "sha256"] as const,
        ...["-m", "quote", "-s", "signature"],
      );
      const values = await swtpm.read("values");
      const pcrValues = new Map(PCRS.map((pcr, at) => [pcr, values.subarray(32 * at, 32 * at + 32)]));
      const quoted = { quote: await swtpm.read("quote"), signature: await swtpm.read("signature"), pcrValues };
      unwrap(verifyQuote({ attestationKey, qualifyingData: NONCE, pcrs: PCRS, ...quoted }));
    });

    test("our machine answers a challenge of tpm2-tools, which verify its quote", async () => {
      await using swtpm = await startSwtpm();
      const prover = createDeviceProver(() => openDevice(swtpm, algorithm));
      const evidence = await prover.evidence();
      const publicArea = await readEndorsementArea(swtpm, algorithm);
      assert.deepEqual(toSpki(publicArea), evidence.endorsementKey);
      await swtpm.write("ek.pub", tpmBuffer(publicArea));
      await swtpm.write("secret", SECRET);
      const name = encodeHex(computeTpmName(evidence.attestationKey));
      // This tool needs no TPM.
      await succeedProgram(
        "tpm2_makecredential",
        ["-T", "none", "-e", "ek.pub", "-s", "secret", "-n", name, "-o", "credential"],
        { cwd: swtpm.folder.path },
      );
      const [credential, encryptedSecret] = unwrap(readTpm(await swtpm.read("credential"), (reader) => {
        assert.deepEqual(reader.bytes(CREDENTIAL_HEADER.length), CREDENTIAL_HEADER);
        return [tpmBuffer(reader.sized()), tpmBuffer(reader.sized())] as const;
      }));
      const { secret, quote, signature } = await prover.prove(
        { kind: "tpm", credential, secret: encryptedSecret, pcrs: PCRS },
        MESSAGE,
      );
      assert.deepEqual(secret, SECRET);
      const key = unwrap(readAttestationKey(evidence.attestationKey));
      await swtpm.write("ak.pem", Buffer.from(encodePem("PUBLIC KEY", key.publicKey.der)));
      await swtpm.write("quote", quote);
      await swtpm.write("signature", signature);
      const check = (nonce: Uint8Array) => [
        ...["-u", "ak.pem", "-m", "quote", "-s", "signature"],
        ...["-q", encodeHex(nonce), "-g", "sha256"],
      ];
      await swtpm.tool("checkquote", ...check(NONCE));
      assert.match((await swtpm.tryTool("checkquote", ...check(SECRET))).stderr, /nonce/);
    });

    test("our server challenges go-tpm, and verifies its quote", async () => {
      await using swtpm = await startSwtpm();
      const target = { socket: swtpm.path, algorithm };
      const evidence = await runPeer("evidence", target);
      const endorsementKey = decode(evidence.endorsementKey);
      const attestationKey = unwrap(readAttestationKey(decode(evidence.attestationKey)));
      assert.equal(attestationKey.algorithm.name, algorithm === "rsa" ? "SHA256-RSAPSS" : "ECDSA-SHA256");
      const challenge = await makeCredential(toSpki(endorsementKey), attestationKey.name, SECRET, random);
      const { pcrs = {}, secret, quote, signature } = await runPeer("answer", {
        ...target,
        credential: encodeBase64(challenge.credential),
        encryptedSecret: encodeBase64(challenge.secret),
        nonce: encodeBase64(NONCE),
        pcrs: { 0: "", 7: "", 11: "" },
      });
      assert.deepEqual(decode(secret), SECRET);
      const pcrValues = new Map(Object.entries(pcrs).map(([pcr, value]) => [Number(pcr), decode(value)]));
      const quoted = { quote: decode(quote), signature: decode(signature), pcrValues };
      unwrap(verifyQuote({ attestationKey, qualifyingData: NONCE, pcrs: [0, 7, 11], ...quoted }));
      // Our machine has the same endorsement key.
      const prover = createDeviceProver(() => openDevice(swtpm, algorithm));
      assert.deepEqual((await prover.evidence()).endorsementKey, toSpki(endorsementKey));
    });

    test("our machine answers a challenge of go-tpm, which verifies its quote", async () => {
      await using swtpm = await startSwtpm();
      const prover = createDeviceProver(() => openDevice(swtpm, algorithm));
      const evidence = await prover.evidence();
      const publicArea = await readEndorsementArea(swtpm, algorithm);
      const answer = await runPeer("make", {
        endorsementKey: encodeBase64(publicArea),
        name: encodeBase64(computeTpmName(evidence.attestationKey)),
        secret: encodeBase64(SECRET),
      });
      const { secret, quote, signature, pcrValues } = await prover.prove(
        { kind: "tpm", credential: decode(answer.credential), secret: decode(answer.encryptedSecret), pcrs: PCRS },
        MESSAGE,
      );
      assert.deepEqual(secret, SECRET);
      const pcrs = Object.fromEntries([...pcrValues].map(([pcr, value]) => [pcr, encodeBase64(value)]));
      await runPeer("verify", {
        attestationKey: encodeBase64(evidence.attestationKey),
        nonce: encodeBase64(NONCE),
        quote: encodeBase64(quote),
        signature: encodeBase64(signature),
        pcrs,
      });
    });
  });
}

/** The header of a credential file of tpm2-tools: a magic number and a version. */
const CREDENTIAL_HEADER = concatBytes(encodeUint(4, 0xbadcc0de), encodeUint(4, 1));

/** Creates the endorsement key and returns its TPMT_PUBLIC. */
async function readEndorsementArea(swtpm: Swtpm, algorithm: Algorithm): Promise<Bytes> {
  await using device = await openDevice(swtpm, algorithm);
  return (await device.createPrimary(ENDORSEMENT_TEMPLATES[ALGORITHMS.indexOf(algorithm)]!.area)).publicArea;
}

test("an endorsement certificate of swtpm's CA admits the machine that it names", async () => {
  await using swtpm = await startCertifiedSwtpm("n1");
  const exchanges: TpmExchange[][] = [];
  const prover = createDeviceProver(() => openDevice(swtpm, "rsa", exchanges[exchanges.push([]) - 1]));
  const { evidence, challenge } = await prove(prover);
  const { endorsementCertificate, endorsementKey } = evidence;
  assert.ok(endorsementCertificate !== undefined);
  const authority = unwrap(parseEndorsementAuthority(swtpm.caPem, "commonName"));
  assert.equal(unwrap(verifyEndorsement(endorsementCertificate, endorsementKey, [authority], new Date())), "n1");
  if (process.env["TLSBOOT_UPDATE_GOLDEN"] !== "1") return;
  const [credential, encryptedSecret, secret] = [challenge.credential, challenge.secret, SECRET].map(encodeHex);
  const story = { exchanges, message: new TextDecoder().decode(MESSAGE), credential, encryptedSecret, secret };
  const folder = join(ROOT, "client/attestation/testdata");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "tpm_story.json"), `${JSON.stringify(story, undefined, 2)}\n`);
});

test("our server refuses a key that is not restricted", async () => {
  await using swtpm = await startSwtpm();
  await using device = await openDevice(swtpm, "ecc");
  const attributes = ATTESTATION_TEMPLATE.attributes & ~TPM_ATTRIBUTE.restricted;
  const { publicArea } = await device.createPrimary({ ...ATTESTATION_TEMPLATE, attributes });
  assert.deepEqual(readAttestationKey(publicArea), {
    ok: false,
    error: "the attestation key does not have the attribute restricted",
  });
});
