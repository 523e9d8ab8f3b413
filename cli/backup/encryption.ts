/** Encryption of backups: age files (age-encryption.org/v1), for a passphrase or for public keys. */
import { Decrypter, Encrypter } from "age-encryption";
import type { Secret } from "../../core/lib/brand.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { backupInvalid } from "./read.ts";

/** Whom a backup is for. */
export type Recipients =
  | { readonly kind: "passphrase"; readonly passphrase: Secret<string> }
  /** `age1…`, at least one. */
  | { readonly kind: "keys"; readonly recipients: readonly string[] };

/** What opens one. */
export type Opener =
  | { readonly kind: "passphrase"; readonly passphrase: Secret<string> }
  /** `AGE-SECRET-KEY-1…`, at least one. */
  | { readonly kind: "identities"; readonly identities: Secret<readonly string[]> };

/** Encrypts. AppError `invalid` for a public key that is none. */
export async function encrypt(
  plain: AsyncIterable<Uint8Array>,
  recipients: Recipients,
): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = new Encrypter();
  if (recipients.kind === "passphrase") encrypter.setPassphrase(recipients.passphrase.reveal());
  else {
    for (const recipient of recipients.recipients) {
      try {
        encrypter.addRecipient(recipient);
      } catch (cause) {
        throw new AppError("invalid", `cannot encrypt for "${recipient}": ${getErrorMessage(cause)}`, {
          cause,
          hint: "want a public key as age-keygen prints it: age1…",
        });
      }
    }
  }
  return await encrypter.encrypt(toReadableStream(plain));
}

/** Decrypts. AppError `passphrase_wrong`, `key_invalid`, and `backup_invalid` for what is damaged or no age file. */
export async function decrypt(
  sealed: AsyncIterable<Uint8Array>,
  opener: Opener,
): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = new Decrypter();
  if (opener.kind === "passphrase") decrypter.addPassphrase(opener.passphrase.reveal());
  else for (const identity of opener.identities.reveal()) addIdentity(decrypter, identity);
  let plain: AsyncIterable<Uint8Array>;
  try {
    plain = await decrypter.decrypt(toReadableStream(sealed));
  } catch (error) {
    throw openingError(error, opener);
  }
  return translated(plain);
}

function addIdentity(decrypter: Decrypter, identity: string): void {
  try {
    decrypter.addIdentity(identity);
  } catch {
    // What the library says could name the key.
    throw new AppError("key_invalid", "cannot use the identity file: a line of it is no secret key of age", {
      hint: "want the file that age-keygen wrote",
    });
  }
}

function openingError(error: unknown, opener: Opener): AppError {
  const what = getErrorMessage(error);
  if (/no identity matched|incorrect|wrong/i.test(what)) {
    return opener.kind === "passphrase"
      ? new AppError("passphrase_wrong", "cannot open the backup: the passphrase is wrong, or it is for a key", {
        hint: "for a backup made with --recipient give the secret key with --identity",
      })
      : new AppError("key_invalid", "cannot open the backup: it is for none of these keys", {
        hint: "for a backup with a passphrase leave --identity out",
      });
  }
  return backupInvalid(`it is no age file, or damaged: ${what}`, error);
}

/** An error in the middle is damage: each piece of the file is authenticated before it is handed on. */
async function* translated(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* plain;
  } catch (error) {
    throw error instanceof AppError ? error : backupInvalid(`it is damaged or cut: ${getErrorMessage(error)}`, error);
  }
}

/** What is asked for is made; an error of the source is the stream's. */
function toReadableStream(source: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
    async cancel(reason) {
      await iterator.return?.(reason);
    },
  }, { highWaterMark: 0 });
}
