/** The error for wrong usage, which ends with exit code 2. */
import { AppError } from "../../core/errors.ts";

/** The command line, the environment or the configuration file is wrong. */
export class UsageError extends AppError {
  constructor(message: string, hint?: string) {
    super("usage", message, { hint });
  }
}
