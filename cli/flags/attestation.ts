/** Flags of the commands that prove which machine this is. */
import { fileFlag } from "../framework/flags.ts";

/** The flag that replaces what a kind of proof is made with. */
export const PROOF_FROM_FLAG = fileFlag({
  isCommandLineOnly: true,
  summary:
    "What the proof is made with: the device or the socket of the TPM, or the file of the SSH host key. Without it, " +
    "/dev/tpmrm0, or the first host key of sshd in /etc/ssh.",
});
