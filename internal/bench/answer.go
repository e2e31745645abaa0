package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"strings"
)

const (
	maxAnswer      = 16 << 20
	maxAnswerLines = 100
)

var errAnswer = errors.New("no answer in HTTP/1.1")

// readAnswer reads one HTTP/1.1 answer and appends its body to buf. closing
// says that the connection ends with it.
func readAnswer(in *bufio.Reader, buf []byte) (status int, closing bool, body []byte, err error) {
	line, err := readLine(in)
	if err != nil {
		return 0, false, buf, err
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	status, err = strconv.Atoi(code)
	if version != "HTTP/1.1" || err != nil || status < 200 || status > 599 {
		return 0, false, buf, fmt.Errorf("%w: %.50q", errAnswer, line)
	}
	length, chunked, closing, err := readFields(in)
	switch {
	case err != nil:
	case chunked:
		body, err = readChunks(in, buf)
	case length < 0:
		closing = true // the body ends with the connection: of no use here
		body = buf
	default:
		body = append(buf, make([]byte, length)...)
		_, err = io.ReadFull(in, body[len(buf):])
	}
	return status, closing, body, err
}

// readFields reads the headers up to the blank line. A length of -1 is none.
func readFields(in *bufio.Reader) (length int64, chunked, closing bool, err error) {
	length = -1
	for range maxAnswerLines {
		line, err := readLine(in)
		if err != nil {
			return 0, false, false, err
		}
		if line == "" {
			return length, chunked, closing, nil
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case strings.EqualFold(name, "Content-Length"):
			length, err = strconv.ParseInt(value, 10, 64)
			if err != nil || length < 0 || length > maxAnswer {
				return 0, false, false, fmt.Errorf("%w: %.50q", errAnswer, line)
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = strings.EqualFold(value, "chunked")
		case strings.EqualFold(name, "Connection"):
			closing = strings.EqualFold(value, "close")
		}
	}
	return 0, false, false, fmt.Errorf("%w: more than %d header lines", errAnswer, maxAnswerLines)
}

func readChunks(in *bufio.Reader, buf []byte) ([]byte, error) {
	body := bytes.NewBuffer(buf)
	n, err := io.Copy(body, io.LimitReader(httputil.NewChunkedReader(in), maxAnswer+1))
	if err == nil && n > maxAnswer {
		err = fmt.Errorf("%w: more than %d bytes", errAnswer, maxAnswer)
	}
	for err == nil { // trailers, and the blank line behind them
		var line string
		if line, err = readLine(in); line == "" {
			break
		}
	}
	return body.Bytes(), err
}

// readLine reads a line without its end. Its length is bounded by the reader's
// buffer.
func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}
