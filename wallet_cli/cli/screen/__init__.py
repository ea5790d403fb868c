"""What people are shown: tables and cards, in words, local times and amounts as they are written where they live.

`kinds` says of each kind of row (transaction, wallet, user, hold …) what is shown of it and what goes first when the
width is short; `tables` and `cards` lay that out; `money` and `told` say amounts, times and names; `terminal` knows the
width, the colours and the pager. Nothing here is imported for JSON, CSV or `-q`.
"""
