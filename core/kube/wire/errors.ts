/** The errors of the codecs; their messages are those that Kubernetes clients see. */
import { AppError } from "../../errors.ts";

/** Reports a well-formed document that is not the expected object, or a malformed protobuf body; code `invalid`. */
export class DecodeError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, { cause });
  }
}

/** Reports text that is not JSON, or not YAML; code `invalid`. */
export class JsonSyntaxError extends AppError {
  constructor(message: string, cause?: unknown) {
    super("invalid", message, { cause });
  }
}
