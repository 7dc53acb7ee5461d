package hyperloglog

import (
	"encoding/binary"
	"fmt"
	"math"
)

// SelfTest is PFSELFTEST: it writes and reads all registers of a dense value, and adds ten million different elements to a
// dense and to a sparse value, whose counts must be equal, and near the true number, at each power of ten. random returns 64
// random bits. The texts of errors are Redis's. It takes about half a second.
func SelfTest(random func() uint64, maxSparse int) error {
	dense, err := ToDense(AppendEmpty(nil))
	if err != nil {
		return err
	}
	if err := testRegisters(dense, random); err != nil {
		return err
	}
	clear(dense[HeaderSize:])
	sparse := AppendEmpty(nil)
	seed := random()
	next := 1 // the next power of ten
	for n := 1; n <= 10_000_000; n++ {
		var element [8]byte
		binary.LittleEndian.PutUint64(element[:], uint64(n)^seed)
		index, rank := Locate(element[:])
		if dense, _, err = Set(dense, index, rank, maxSparse); err == nil {
			sparse, _, err = Set(sparse, index, rank, maxSparse)
		}
		if err != nil {
			return err
		}
		if n < next {
			continue
		}
		if n < maxSparse/2 && EncodingOf(sparse) != Sparse {
			return fmt.Errorf("TESTFAILED sparse encoding not used")
		}
		a, errA := Count(dense)
		b, errB := Count(sparse)
		if a != b || errA != nil || errB != nil {
			return fmt.Errorf("TESTFAILED dense/sparse disagree")
		}
		off := math.Abs(float64(n) - float64(a))
		most := math.Ceil(6 * 1.04 / math.Sqrt(Registers) * float64(n)) // six times the standard error
		if off > most {
			return fmt.Errorf("TESTFAILED Too big error. card:%d abserr:%.0f", n, off)
		}
		next *= 10
	}
	return nil
}

// testRegisters sets all registers to random ranks, a thousand times, and compares.
func testRegisters(dense []byte, random func() uint64) error {
	var want [Registers]uint8
	for range 1000 {
		for i := range want {
			want[i] = uint8(random() & rankMask)
			SetDenseRegister(dense, i, want[i])
		}
		for i, v := range want {
			if got := DenseRegister(dense, i); got != v {
				return fmt.Errorf("TESTFAILED Register %d should be %d but is %d", i, v, got)
			}
		}
	}
	return nil
}
