/** NodeAttestation of the group `tlsboot`: the exchange of a proof for a bootstrap token, in two calls. It is never stored. */
import type { KubeObject } from "../meta.ts";
import type { Kind } from "../schema.ts";
import { clusterWide, describeVersion, withoutList } from "./kind.ts";
import { always, atomic, BYTES, INT32, omitempty, optional, required, STRING, TIME } from "./notation.ts";
import { TLSBOOT_GROUP } from "./constants.ts";

const { kind, message } = describeVersion(TLSBOOT_GROUP, "v1alpha1", "tlsboot.v1alpha1");

const tpmEvidence = message<NonNullable<AttestationEvidence["tpm"]>>("TPMEvidence", "The keys of a TPM 2.0.", {
  endorsementKey: required(1, BYTES, "Endorsement key, as SubjectPublicKeyInfo in DER."),
  endorsementCertificate: omitempty(2, BYTES, "Certificate of the endorsement key in DER, if the TPM has one."),
  attestationKey: required(3, BYTES, "Attestation key, as TPMT_PUBLIC."),
});

const sshEvidence = message<NonNullable<AttestationEvidence["ssh"]>>("SSHEvidence", "The host key of an sshd.", {
  hostKey: required(1, BYTES, "Public key in the wire format of SSH."),
});

/** The evidence of a machine in the first call; exactly one member is set. Bytes are base64 text. */
export interface AttestationEvidence {
  readonly tpm?: {
    readonly endorsementKey: string | null;
    readonly endorsementCertificate?: string;
    readonly attestationKey: string | null;
  };
  readonly ssh?: { readonly hostKey: string | null };
}

const attestationEvidence = message<AttestationEvidence>("AttestationEvidence", "The evidence of a machine.", {
  tpm: optional(1, tpmEvidence, "The keys of a TPM."),
  ssh: optional(2, sshEvidence, "The host key of an sshd."),
});

/** The value of a PCR in the SHA-256 bank, as base64 text. */
export interface AttestationPcr {
  readonly index: number;
  readonly sha256: string | null;
}

const attestationPcr = message<AttestationPcr>("AttestationPCR", "The value of a PCR.", {
  index: always(1, INT32, "Index of the PCR."),
  sha256: required(2, BYTES, "Value in the SHA-256 bank."),
});

const tpmAnswer = message<NonNullable<AttestationAnswer["tpm"]>>("TPMAnswer", "The answer of a TPM.", {
  secret: required(1, BYTES, "The secret that the TPM decrypted."),
  quote: required(2, BYTES, "TPMS_ATTEST, whose extraData is the SHA-256 of the message."),
  signature: required(3, BYTES, "TPMT_SIGNATURE by the attestation key."),
  pcrs: omitempty(4, atomic(attestationPcr), "The values of the PCRs that were quoted."),
});

const sshAnswer = message<NonNullable<AttestationAnswer["ssh"]>>("SSHAnswer", "The answer of a host key.", {
  signature: required(1, BYTES, "SSHSIG of the message without armor, with the namespace tlsboot-join."),
});

/** The answer of a machine to the challenge; exactly one member is set. */
export interface AttestationAnswer {
  readonly tpm?: {
    readonly secret: string | null;
    readonly quote: string | null;
    readonly signature: string | null;
    readonly pcrs?: readonly AttestationPcr[];
  };
  readonly ssh?: { readonly signature: string | null };
}

const attestationAnswer = message<AttestationAnswer>("AttestationAnswer", "The answer to a challenge.", {
  tpm: optional(1, tpmAnswer, "The answer of a TPM."),
  ssh: optional(2, sshAnswer, "The answer of a host key."),
});

/** The first call has evidence, the second one the answer to the challenge and the state of the first call. */
export interface NodeAttestationSpec {
  readonly nodeName: string;
  /** The key of the future request: SubjectPublicKeyInfo in DER, as base64 text. */
  readonly publicKey: string | null;
  readonly evidence?: AttestationEvidence;
  readonly answer?: AttestationAnswer;
  readonly state?: string;
}

const nodeAttestationSpec = message<NodeAttestationSpec>("NodeAttestationSpec", "One call of the exchange.", {
  nodeName: required(1, STRING, "Name of the node."),
  publicKey: required(2, BYTES, "Public key of the future request, as SubjectPublicKeyInfo in DER."),
  evidence: optional(3, attestationEvidence, "First call: the evidence of the machine."),
  answer: optional(4, attestationAnswer, "Second call: the answer to the challenge."),
  state: omitempty(5, BYTES, "Second call: the state of the first one."),
});

const tpmChallenge = message<NonNullable<AttestationChallenge["tpm"]>>("TPMChallenge", "The challenge for a TPM.", {
  credential: always(1, BYTES, "TPM2B_ID_OBJECT."),
  secret: always(2, BYTES, "TPM2B_ENCRYPTED_SECRET."),
  pcrs: omitempty(3, atomic(INT32), "The PCRs to quote, of the SHA-256 bank."),
});

/** The challenge, which the machine signs and, with a TPM, also decrypts. */
export interface AttestationChallenge {
  /** 32 bytes in base64url without padding, as the message contains them. */
  readonly nonce: string;
  /** The pin of the server's CA, as the message contains it. */
  readonly caCertHash: string;
  readonly tpm?: {
    readonly credential: string | null;
    readonly secret: string | null;
    readonly pcrs?: readonly number[];
  };
}

const attestationChallenge = message<AttestationChallenge>("AttestationChallenge", "The challenge for a machine.", {
  nonce: always(1, STRING, "The challenge in the message."),
  caCertHash: always(2, STRING, "Hash of the public key of the CA of the server, as tlsboot ca show prints it."),
  tpm: optional(3, tpmChallenge, "The secret that the TPM has to decrypt, and the PCRs that it has to quote."),
});

/** The cluster that accepts the token, if it is not the server that was called. */
export interface AttestationCluster {
  readonly server: string;
  /** PEM as base64 text, as in a kubeconfig. */
  readonly certificateAuthorityData: string | null;
}

const attestationCluster = message<AttestationCluster>("AttestationCluster", "The cluster that accepts a token.", {
  server: always(1, STRING, "Address of the API server."),
  certificateAuthorityData: always(2, BYTES, "CAs of the API server, as PEM."),
});

const nodeAttestationStatus = message<NodeAttestation["status"]>("NodeAttestationStatus", "The answer of the server.", {
  challenge: optional(1, attestationChallenge, "First call: the challenge for the machine."),
  state: omitempty(2, BYTES, "First call: the state to send with the second one."),
  token: omitempty(3, STRING, "Second call: a bootstrap token for this node and this key."),
  expirationTimestamp: optional(4, TIME, "When the token expires."),
  cluster: optional(
    5,
    attestationCluster,
    "The cluster that accepts the token, if it is not the server that was called.",
  ),
});

/** One of the two calls by which a machine exchanges a proof of its identity for a bootstrap token. It is never stored. */
export interface NodeAttestation extends KubeObject {
  readonly spec: NodeAttestationSpec;
  readonly status: {
    readonly challenge?: AttestationChallenge;
    readonly state?: string;
    readonly token?: string;
    readonly expirationTimestamp?: string | null;
    readonly cluster?: AttestationCluster;
  };
}

export const nodeAttestationKind: Kind = kind<NodeAttestation>(
  "NodeAttestation",
  withoutList(clusterWide()),
  "Exchanges a proof of a machine's identity for a bootstrap token, in two calls.",
  {
    spec: required(2, nodeAttestationSpec, "One call of the exchange."),
    status: always(3, nodeAttestationStatus, "The answer; filled by the server."),
  },
);
