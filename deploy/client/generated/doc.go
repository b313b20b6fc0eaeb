// Package generated is where the client is laid, over this file's side, when it is compiled: none is kept.
package generated

import (
	_ "github.com/oapi-codegen/runtime" // what a generated client needs
	_ "github.com/oapi-codegen/runtime/types"
)
