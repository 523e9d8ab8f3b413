/** Decodes bytes into canonical objects and encodes them: JSON, YAML and protobuf, driven by the kind descriptions. */
export { type DecodedObject, decodeObject, type DecodeOptions } from "./decode.ts";
export { encodeObject, jsonBytes, jsonText, type TypeMeta } from "./encode.ts";
export { DecodeError, JsonSyntaxError } from "./errors.ts";
export { type JsonDocument, parseJson } from "./json_parser.ts";
export { decodeUtf8 } from "../../lib/utf8.ts";
export { formatYaml } from "../../lib/yaml/format.ts";
export { parseYaml } from "./yaml.ts";
export {
  type DecodedList,
  decodeEnvelope,
  decodeList,
  encodeEnvelope,
  encodeListItem,
  encodeListOfItems,
  encodeWatchFrame,
  type Envelope,
} from "./protobuf_envelope.ts";
export { decodeMessage } from "./protobuf_read.ts";
export { encodeMessage } from "./protobuf_write.ts";
