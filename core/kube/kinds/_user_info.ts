/** A user as part of the authentication reviews (staging `k8s.io/api/authentication/v1/types.go`). */
import type { MessageSchema } from "../schema.ts";
import { list, map, STRING } from "./_fields.ts";

/** A user. */
export const userInfoSchema: MessageSchema = {
  name: "io.k8s.api.authentication.v1.UserInfo",
  description: "A user.",
  fields: {
    username: { number: 1, type: STRING, presence: "omitempty", description: "Name of the user." },
    uid: { number: 2, type: STRING, presence: "omitempty", description: "Identifier of the user." },
    groups: {
      number: 3,
      type: list(STRING),
      presence: "omitempty",
      listType: "atomic",
      description: "Groups of the user.",
    },
    extra: {
      number: 4,
      type: map(list(STRING)),
      presence: "omitempty",
      goType: "map[string]v1.ExtraValue",
      description: "Further attributes of the user.",
    },
  },
};
