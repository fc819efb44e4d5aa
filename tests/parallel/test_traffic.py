"""Bytes and kernels of a program's text, counted by hand."""

from mllm.parallel.traffic import Traffic, traffic_of

TEXT = """
%cut (p.0: bf16[32,4,8], p.1: s32[]) -> bf16[4,8] {
  %p.0 = bf16[32,4,8]{2,1,0} parameter(0)
  %p.1 = s32[] parameter(1)
  %d = bf16[1,4,8]{2,1,0} dynamic-slice(%p.0, %p.1, %z, %z), dynamic_slice_sizes={1,4,8}
  ROOT %b = bf16[4,8]{1,0} bitcast(%d)
}
%put (q.0: bf16[32,4,8], q.1: s32[], q.2: bf16[4,8]) -> bf16[32,4,8] {
  %q.0 = bf16[32,4,8]{2,1,0} parameter(0)
  %q.1 = s32[] parameter(1)
  %q.2 = bf16[4,8]{1,0} parameter(2)
  %c = bf16[1,4,8]{2,1,0} bitcast(%q.2)
  ROOT %u = bf16[32,4,8]{2,1,0} dynamic-update-slice(%q.0, %c, %q.1, %z, %z)
}
%body (s: (s32[], bf16[32,4,8])) -> (s32[], bf16[32,4,8]) {
  %s = (s32[], bf16[32,4,8]) parameter(0)
  %i = s32[] get-tuple-element(%s), index=0
  %w = bf16[32,4,8]{2,1,0} get-tuple-element(%s), index=1
  %x = bf16[4,8]{1,0} fusion(%w, %i), kind=kLoop, calls=%cut
  %m = (bf16[4,8]{1,0}, s8[1024]{0}) custom-call(%x, %x), custom_call_target="__cublas$lt$matmul"
  %y = bf16[4,8]{1,0} get-tuple-element(%m), index=0
  %n = bf16[32,4,8]{2,1,0} fusion(%w, %i, %y), kind=kLoop, calls=%put
  ROOT %t = (s32[], bf16[32,4,8]) tuple(%i, %n)
}
%condition (s: (s32[], bf16[32,4,8])) -> pred[] {
  ROOT %s = (s32[], bf16[32,4,8]) parameter(0)
}
ENTRY %main (a: f32[10], b: (s32[], bf16[32,4,8])) -> f32[10] {
  %a = f32[10]{0} parameter(0)
  %b = (s32[], bf16[32,4,8]) parameter(1)
  %l = (s32[], bf16[32,4,8]) while(%b), condition=%condition, body=%body, backend_config={"known_trip_count":{"n":"5"}}
  %e = ((f32[10]{0}), f32[10]{0}, u32[]) copy-start(%a)
  %f = f32[10]{0} copy-done(%e)
  ROOT %g = f32[10]{0} add(%f, %a)
}
"""  # noqa: E501
PIECE = 4 * 8 * 2


def test_pieces_are_read_and_written_in_place_of_whole_stacks():
    found = traffic_of(TEXT)
    cut, product = PIECE + 4 + PIECE, 3 * PIECE
    put = PIECE + 4 + PIECE
    copied, added = 40 + 40 + 4, 3 * 40  # a start counts its mark
    assert found == Traffic(5 * (cut + product + put) + copied + added, 5 * 3 + 2, 5)
