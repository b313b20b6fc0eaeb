package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"todod/httpapi/api"
)

// boxWidth is the inner width of a drawn node: three fit into 80 columns.
const boxWidth = 22

// draw shows the nodes as they are: boxes on a terminal, lines elsewhere.
func (d *demo) draw(ctx context.Context) error {
	var boxes [][]string
	for _, n := range d.nodes {
		c, err := api.Cluster{}, errors.New("dead")
		if !n.dead() {
			c, err = n.look(ctx)
		}
		role, sgr := "follower", "0"
		switch {
		case n.dead():
			role, sgr = "killed", "31"
		case err != nil:
			role, sgr = "does not answer", "33"
		case c.Leader == n.id:
			role, sgr = "LEADER", "1;32"
		}
		term, applied := "-", "-"
		if err == nil {
			term, applied = fmt.Sprint(c.Term), fmt.Sprint(c.Applied)
		}
		if !d.drawn {
			d.say("%s  %-8s  http %s  term %s  applied %s", n.id, role, n.http, term, applied)
			continue
		}
		boxes = append(boxes, d.box(sgr, n.id+"  "+role, n.http, "term "+term, "applied "+applied))
	}
	if d.drawn {
		for i := range boxes[0] {
			var line []string
			for _, box := range boxes {
				line = append(line, box[i])
			}
			d.say("%s", strings.Join(line, "  "))
		}
	}
	return ctx.Err()
}

func (d *demo) box(sgr string, lines ...string) []string {
	rule := strings.Repeat("─", boxWidth+2)
	out := []string{d.paint(sgr, "┌"+rule+"┐")}
	for _, line := range lines {
		out = append(out, d.paint(sgr, fmt.Sprintf("│ %-*.*s │", boxWidth, boxWidth, line)))
	}
	return append(out, d.paint(sgr, "└"+rule+"┘"))
}

// pause waits for Enter, where there is someone to press it.
func (d *demo) pause(ctx context.Context) error {
	if d.enter == nil {
		return ctx.Err()
	}
	if d.load != nil {
		d.load.hold()
		defer d.load.resume()
	}
	fmt.Fprint(d.out, d.paint("2", "\nEnter to go on, Ctrl-C to end "))
	pressed := make(chan struct{})
	go func() {
		// One byte at a time: what is typed ahead belongs to the next step.
		var b [1]byte
		var err error
		for err == nil && b[0] != '\n' {
			_, err = d.enter.Read(b[:])
		}
		close(pressed)
	}()
	select {
	case <-pressed:
		return nil
	case <-ctx.Done():
		d.say("")
		return d.why(ctx, ctx.Err())
	}
}
