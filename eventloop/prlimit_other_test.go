//go:build !linux

package eventloop

import "errors"

func raiseChildLimit(int, uint64) error { return errors.ErrUnsupported }
