/** Encrypts and decrypts backups as age files (age-encryption.org/v1), for a passphrase or for public keys. */
import { Decrypter, Encrypter } from "age-encryption";
import type { Secret } from "../../core/lib/brand.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { createBackupInvalidError } from "./archive.ts";

/** The passphrase or the public keys that a backup is encrypted for. */
export type BackupRecipients =
  | { readonly kind: "passphrase"; readonly passphrase: Secret<string>; readonly workFactor?: number | undefined }
  /** At least one public key, `age1…`. */
  | { readonly kind: "keys"; readonly recipients: readonly string[] };

/** The passphrase or the secret keys that open a backup. */
export type BackupOpener =
  | { readonly kind: "passphrase"; readonly passphrase: Secret<string> }
  /** At least one secret key, `AGE-SECRET-KEY-1…`. */
  | { readonly kind: "identities"; readonly identities: Secret<readonly string[]> };

/** Encrypts a stream. Throws AppError `invalid` for an invalid public key. */
export async function encryptBackup(
  plain: AsyncIterable<Uint8Array>,
  recipients: BackupRecipients,
): Promise<AsyncIterable<Uint8Array>> {
  const encrypter = new Encrypter();
  if (recipients.kind === "passphrase") {
    encrypter.setPassphrase(recipients.passphrase.reveal());
    if (recipients.workFactor !== undefined) encrypter.setScryptWorkFactor(recipients.workFactor);
  } else {
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

/**
 * Decrypts a stream. Throws AppError `passphrase_wrong`, `key_invalid`, or `backup_invalid` when it is damaged or not an
 * age file.
 */
export async function decryptBackup(
  sealed: AsyncIterable<Uint8Array>,
  opener: BackupOpener,
): Promise<AsyncIterable<Uint8Array>> {
  const decrypter = new Decrypter();
  if (opener.kind === "passphrase") decrypter.addPassphrase(opener.passphrase.reveal());
  else for (const identity of opener.identities.reveal()) addIdentity(decrypter, identity);
  let plain: AsyncIterable<Uint8Array>;
  try {
    plain = await decrypter.decrypt(toReadableStream(sealed));
  } catch (error) {
    throw toOpeningError(error, opener);
  }
  return translateErrors(plain);
}

function addIdentity(decrypter: Decrypter, identity: string): void {
  try {
    decrypter.addIdentity(identity);
  } catch {
    // The library's message could contain the key.
    throw new AppError("key_invalid", "cannot use the identity file: a line of it is not a secret key of age", {
      hint: "want the file that age-keygen wrote",
    });
  }
}

function toOpeningError(error: unknown, opener: BackupOpener): AppError {
  const what = getErrorMessage(error);
  if (/no identity matched|incorrect|wrong/i.test(what)) {
    return opener.kind === "passphrase"
      ? new AppError(
        "passphrase_wrong",
        "cannot open the backup: the passphrase is wrong, or the backup is encrypted for a key",
        {
          hint: "for a backup made with the setting recipient, give the secret key with the setting identity",
        },
      )
      : new AppError("key_invalid", "cannot open the backup: it is not encrypted for any of these keys", {
        hint: "for a backup with a passphrase, omit the setting identity",
      });
  }
  return createBackupInvalidError(`it is not an age file, or it is damaged: ${what}`, error);
}

/** Reports an error in the middle of a stream as damage: each chunk is authenticated before it is yielded. */
async function* translateErrors(plain: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* plain;
  } catch (error) {
    throw error instanceof AppError
      ? error
      : createBackupInvalidError(`it is damaged or cut: ${getErrorMessage(error)}`, error);
  }
}

/** Converts an iterable to a stream, which reads only on demand and fails with the errors of the iterable. */
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
