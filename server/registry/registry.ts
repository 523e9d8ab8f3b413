/** The dependencies and helpers of the generic verbs. */
import type { Clock, Logger, Random } from "../../core/ports.ts";
import type { UserInfo } from "../../core/kube/user.ts";
import type { Admission } from "../admission/admission.ts";
import type { Storage } from "../storage/storage.ts";
import type { Resource } from "./resource.ts";

/** The dependencies that all verbs share. */
export interface RegistryDeps {
  readonly storage: Storage;
  readonly admission: Admission;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The object that a request is about, and its user. */
export interface Target {
  readonly resource: Resource;
  /** Empty for the main resource. */
  readonly subresource: string;
  /** Empty for cluster-scoped kinds and for all namespaces. */
  readonly namespace: string;
  /** The name of the object; empty for collections. */
  readonly name: string;
  readonly user: UserInfo;
  /** Receives warnings for the client. */
  readonly onWarning?: (text: string) => void;
}

/** Creates a version 4 UUID, as used in `metadata.uid` and audit ids (RFC 9562 section 5.4). */
export function createUid(random: Random): string {
  const bytes = random.bytes(16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  let uid = "";
  for (let index = 0; index < 16; index++) {
    if (index === 4 || index === 6 || index === 8 || index === 10) uid += "-";
    uid += HEX[bytes[index]!];
  }
  return uid;
}

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** An alphabet without vowels and similar characters (apiserver `pkg/storage/names/generate.go`). */
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";
const MAX_GENERATED_BASE = 58;

/** Creates a name from `generateName`, cut to 58 bytes, and five random characters. */
export function generateName(base: string, random: Random): string {
  let suffix = "";
  while (suffix.length < 5) {
    for (const byte of random.bytes(8)) {
      // 256 is no multiple of 27: bytes beyond the last whole multiple would bias the choice.
      if (byte < 243 && suffix.length < 5) suffix += SUFFIX_ALPHABET[byte % SUFFIX_ALPHABET.length];
    }
  }
  return base.slice(0, MAX_GENERATED_BASE) + suffix;
}
