package main

import (
	"fmt"
	"strings"
)

// selection decides which objects a read or a watch includes.
type selection struct {
	namespace string
	terms     []term
}

type term struct {
	isField      bool
	name, value  string
	isNegated    bool
	isAboutValue bool
}

// newSelection parses the selectors of a request. It supports equality and existence of labels, and the fields for the
// name, the namespace and a request's signer, which the clients of torture and simulation use.
func newSelection(r *request) (selection, error) {
	s := selection{namespace: r.namespace}
	for _, one := range []struct {
		text    string
		isField bool
	}{{r.labels, false}, {r.fields, true}} {
		if one.text == "" {
			continue
		}
		for _, part := range strings.Split(one.text, ",") {
			t, err := parseTerm(part, one.isField)
			if err != nil {
				return s, err
			}
			s.terms = append(s.terms, t)
		}
	}
	return s, nil
}

func parseTerm(text string, isField bool) (term, error) {
	t := term{isField: isField}
	if strings.ContainsAny(text, "() <>") {
		return t, fmt.Errorf("the selector %q is not known to this program", text)
	}
	for _, operator := range []string{"!=", "==", "="} {
		if name, value, ok := strings.Cut(text, operator); ok {
			t.name, t.value, t.isNegated, t.isAboutValue = name, value, operator == "!=", true
			break
		}
	}
	if !t.isAboutValue {
		t.name, t.isNegated = strings.TrimPrefix(text, "!"), strings.HasPrefix(text, "!")
	}
	if isField && t.name != "metadata.name" && t.name != "metadata.namespace" && t.name != "spec.signerName" {
		return t, fmt.Errorf("the field %q is not known to this program", t.name)
	}
	return t, nil
}

func (s selection) includes(one *state) bool {
	if s.namespace != "" && one.Namespace != s.namespace {
		return false
	}
	for _, t := range s.terms {
		value, exists := one.Labels[t.name]
		if t.isField {
			exists = true
			switch t.name {
			case "metadata.name":
				value = one.Name
			case "metadata.namespace":
				value = one.Namespace
			default:
				value = one.SignerName
			}
		}
		matches := exists && (!t.isAboutValue || value == t.value)
		if matches == t.isNegated {
			return false
		}
	}
	return true
}

// had reports whether the state of a change is included.
func (s selection) had(c *change) bool {
	return c.present() && s.includes(c.state)
}
